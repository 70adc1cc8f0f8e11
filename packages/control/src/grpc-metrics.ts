import type { MeshError } from "@heddle/base/errors";
import type { Counter, Family, Registry } from "@heddle/base/metrics";
import type { GrpcServer } from "@heddle/net/grpc/server";
import type {
  BodySink,
  Flow,
  HttpService,
  RequestHead,
  ResponseHead,
  ResponseSink,
} from "@heddle/net/http";

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
        const labels = labelsOf(server, head);
        if (labels === undefined) return service.call(head, flow, response);
        this.#started.with(labels).inc();
        const call = new MeteredCall(response, (code) => {
          const name = CODES[code] ?? CODES[UNKNOWN]!;
          this.#handled.with({ ...labels, grpc_code: name }).inc();
        });
        return call.requestSink(service.call(head, flow, call));
      },
    };
  }
}

/** Unknown methods have no series: whoever calls chooses their names. */
function labelsOf(server: GrpcServer, head: RequestHead): MethodLabels | undefined {
  const [, service, name] = head.path.split("/");
  const described = server.services.find(({ typeName }) => typeName === service);
  const method = described?.methods.find((one) => one.name === name);
  if (described === undefined || method === undefined) return undefined;
  return {
    grpc_type: method.methodKind.replace("streaming", "stream"),
    grpc_service: described.typeName,
    grpc_method: method.name,
  };
}

/** Watches how one call ends: by its trailers, or because somebody gave it up. */
class MeteredCall implements ResponseSink {
  readonly #response: ResponseSink;
  readonly #onEnd: (code: number) => void;
  #isEnded = false;

  constructor(response: ResponseSink, onEnd: (code: number) => void) {
    this.#response = response;
    this.#onEnd = onEnd;
  }

  requestSink(inner: BodySink): BodySink {
    return {
      data: (bytes, start, end) => inner.data(bytes, start, end),
      end: (trailers) => inner.end(trailers),
      abort: (reason) => {
        this.#end(CANCELED);
        inner.abort(reason);
      },
    };
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

  #end(code: number): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#onEnd(code);
  }
}
