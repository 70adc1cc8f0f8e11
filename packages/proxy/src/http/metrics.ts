import type { Counter, Family, Histogram, Labels, Registry } from "@heddle/base/metrics";
import { grpcStatusOf, isSuccess, type ResponseClass } from "./classify.ts";

const LATENCY_MS = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000, 4000, 5000, 10_000,
  20_000, 30_000, 40_000, 50_000,
];

/** The families that Linkerd's tools read, of one prefix: none, `route_`, `route_actual_`, `control_`. */
export class HttpFamilies {
  readonly requests: Family<Counter>;
  readonly responses: Family<Counter>;
  /** `route_actual_` has none. */
  readonly latency: Family<Histogram> | undefined;

  constructor(registry: Registry, prefix: "" | "route_" | "route_actual_" | "control_") {
    const legacy = { legacy: true };
    this.requests = registry.counter(
      `${prefix}request_total`,
      "Total count of HTTP requests.",
      legacy,
    );
    this.responses = registry.counter(
      `${prefix}response_total`,
      "Total count of HTTP responses.",
      legacy,
    );
    this.latency =
      prefix === "route_actual_"
        ? undefined
        : registry.histogram(
            `${prefix}response_latency_ms`,
            "Elapsed times between a request's headers being received and its response stream completing",
            LATENCY_MS,
            legacy,
          );
  }

  bind(labels: Labels): HttpMetrics {
    return new HttpMetrics(this, labels);
  }
}

/** The series of one target, found once. */
export class HttpMetrics {
  readonly #families: HttpFamilies;
  readonly #labels: Labels;
  readonly #responses = new Map<number, Counter>();
  readonly #latencies = new Map<number, Histogram>();
  #requests: Counter | undefined;

  constructor(families: HttpFamilies, labels: Labels) {
    this.#families = families;
    this.#labels = labels;
  }

  /** Hot. The series appears with the first request. */
  requested(): void {
    this.#requests ??= this.#families.requests.with(this.#labels);
    this.#requests.inc();
  }

  /** Hot. An answer came to its end. */
  responded(status: number, responseClass: ResponseClass): void {
    const key = status * 64 + responseClass;
    const known = this.#responses.get(key);
    if (known !== undefined) {
      known.inc();
      return;
    }
    const grpc = grpcStatusOf(responseClass);
    const counter = this.#families.responses.with({
      ...this.#labels,
      status_code: String(status),
      classification: isSuccess(responseClass) ? "success" : "failure",
      grpc_status: grpc < 0 ? "" : String(grpc),
      error: "",
    });
    this.#responses.set(key, counter);
    counter.inc();
  }

  /** An error ended it. @param status - 0 if no head came. @param error - As `errorLabel` says. */
  failed(status: number, error: string): void {
    const counter = this.#families.responses.with({
      ...this.#labels,
      ...(status === 0 ? {} : { status_code: String(status) }),
      classification: "failure",
      grpc_status: "",
      error,
    });
    counter.inc();
  }

  /** Hot. From the request to the first data of its answer, or its end. */
  latency(status: number, ms: number): void {
    const { latency } = this.#families;
    if (latency === undefined) return;
    let histogram = this.#latencies.get(status);
    if (histogram === undefined) {
      histogram = latency.with({ ...this.#labels, status_code: String(status) });
      this.#latencies.set(status, histogram);
    }
    histogram.observe(Math.floor(ms));
  }
}

const H2_REASONS: readonly string[] = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
];

/** The `error` label of the legacy families. */
export function errorLabel(code: string, h2Reason: number | undefined): string {
  if (code === "profile_timeout") return "timeout";
  if (h2Reason !== undefined) return `h2(${H2_REASONS[h2Reason] ?? h2Reason})`;
  return "unclassified";
}

/** Labels of an address that requests or connections go to. */
export function targetLabels(ip: string, port: number): Record<string, string> {
  const address = ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
  return { target_addr: address, target_ip: ip, target_port: String(port) };
}
