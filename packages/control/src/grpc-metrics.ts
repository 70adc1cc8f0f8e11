import type { MeshError } from "@heddle/base/errors";
import type { Counter, Family, Registry } from "@heddle/base/metrics";
import type { GrpcServer } from "@heddle/net/grpc/server";
import type { BodySink, Flow, HttpService, ResponseHead, ResponseSink } from "@heddle/net/http";

type Trailers = Parameters<BodySink["end"]>[0];

/** How Go's library calls the codes, in the order of their numbers. */
const CODES: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];
const CANCELED = 1;
const UNKNOWN = 2;

type MethodLabels = Readonly<Record<"grpc_type" | "grpc_service" | "grpc_method", string>>;

/** The calls of all ports, under the names that dashboards of Go's controllers use. */
export class GrpcMetrics {
  readonly #started: Family<Counter>;
  readonly #handled: Family<Counter>;
  readonly #methods = new Map<string, MethodMeter>();

  constructor(registry: Registry) {
    this.#started = registry.counter("grpc_server_started_total", "Calls that were begun");
    this.#handled = registry.counter(
      "grpc_server_handled_total",
      "Calls that ended, by their code",
    );
  }

  /** Counts what goes through `service`, as far as `server` has a method for it. */
  metered(server: GrpcServer, service: HttpService): HttpService {
    return {
      call: (head, flow, response) => {
        const meter = this.#meterOf(server, head.path);
        if (meter === undefined) return service.call(head, flow, response);
        meter.started();
        const call = new MeteredCall(response, meter);
        return new MeteredRequest(service.call(head, flow, call), call);
      },
    };
  }

  #meterOf(server: GrpcServer, path: string): MethodMeter | undefined {
    const known = this.#methods.get(path);
    if (known !== undefined) return known;
    const labels = labelsOf(server, path);
    if (labels === undefined) return undefined;
    const meter = new MethodMeter(this.#started.with(labels), (code) => {
      const name = CODES[code] ?? CODES[UNKNOWN]!;
      return this.#handled.with({ ...labels, grpc_code: name });
    });
    this.#methods.set(path, meter);
    return meter;
  }
}

/** Unknown methods have no series: whoever calls chooses their names. */
function labelsOf(server: GrpcServer, path: string): MethodLabels | undefined {
  const [before, service, name, more] = path.split("/");
  const described = server.services.find(({ typeName }) => typeName === service);
  const method = described?.methods.find((one) => one.name === name);
  if (before !== "" || more !== undefined) return undefined;
  if (described === undefined || method === undefined) return undefined;
  return {
    grpc_type: method.methodKind.replace("streaming", "stream"),
    grpc_service: described.typeName,
    grpc_method: method.name,
  };
}

/** The counters of one method. */
class MethodMeter {
  readonly #started: Counter;
  readonly #handledBy: (code: number) => Counter;

  constructor(started: Counter, handledBy: (code: number) => Counter) {
    this.#started = started;
    this.#handledBy = handledBy;
  }

  started(): void {
    this.#started.inc();
  }

  handled(code: number): void {
    this.#handledBy(code).inc();
  }
}

/** Watches how one call ends: by its trailers, or because somebody gave it up. */
class MeteredCall implements ResponseSink {
  readonly #response: ResponseSink;
  readonly #meter: MethodMeter;
  #isEnded = false;

  constructor(response: ResponseSink, meter: MethodMeter) {
    this.#response = response;
    this.#meter = meter;
  }

  head(head: ResponseHead, flow: Flow): void {
    // An answer that is all trailers carries its status here.
    const status = head.headers.get("grpc-status");
    if (status !== undefined) this.#end(Number(status));
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#response.data(bytes, start, end);
  }

  end(trailers: Trailers): void {
    this.#end(Number(trailers?.get("grpc-status") ?? UNKNOWN));
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#end(CANCELED);
    this.#response.abort(reason);
  }

  /** Its client gave it up. */
  cancelled(): void {
    this.#end(CANCELED);
  }

  #end(code: number): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#meter.handled(code);
  }
}

/** The request's side of the same. */
class MeteredRequest implements BodySink {
  readonly #inner: BodySink;
  readonly #call: MeteredCall;

  constructor(inner: BodySink, call: MeteredCall) {
    this.#inner = inner;
    this.#call = call;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#inner.data(bytes, start, end);
  }

  end(trailers: Trailers): void {
    this.#inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#call.cancelled();
    this.#inner.abort(reason);
  }
}
