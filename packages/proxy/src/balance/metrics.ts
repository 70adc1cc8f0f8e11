import type { Labels, Registry } from "@heddle/base/metrics";

const LATENCY_BOUNDS = [0.0005, 0.005, 0.05, 0.5, 1, 3];

/** What a balancer tells of itself. */
export interface BalancerObserver {
  gateTimeout(seconds: number): void;
  /** A request went through without waiting. Hot. */
  passed(): void;
  queued(): void;
  dequeued(seconds: number, length: number): void;
  updated(op: "Reset" | "Add" | "Remove"): void;
  endpoints(ready: number, known: number): void;
  gateOpened(wallMs: number): void;
  gateShut(wallMs: number): void;
  /** The balancer is gone. */
  close(): void;
}

/** For single endpoints, which are no balancers to anyone outside. */
export const UNMEASURED: BalancerObserver = {
  gateTimeout: () => {},
  passed: () => {},
  queued: () => {},
  dequeued: () => {},
  updated: () => {},
  endpoints: () => {},
  gateOpened: () => {},
  gateShut: () => {},
  close: () => {},
};

/** The balancer families of one prefix and label set, bound once; `close` removes the series. */
export class BalancerMetrics implements BalancerObserver {
  readonly #labels: Labels;
  readonly #registry: Registry;
  readonly #prefix: string;
  readonly #ready;
  readonly #pending;
  readonly #known;
  readonly #updates;
  readonly #length;
  readonly #requests;
  readonly #latency;
  readonly #opened;
  readonly #openedAt;
  readonly #shut;
  readonly #shutAt;
  readonly #timeout;

  /** @param prefix - `outbound_http_balancer` and its like. */
  constructor(registry: Registry, prefix: string, labels: Labels) {
    this.#registry = registry;
    this.#prefix = prefix;
    this.#labels = labels;
    const state = this.#gauge("endpoints", "The number of endpoints of a balancer by state.");
    this.#ready = state.with({ endpoint_state: "ready", ...labels });
    this.#pending = state.with({ endpoint_state: "pending", ...labels });
    this.#known = this.#gauge("p2c_endpoints", "The number of endpoints in a balancer.").with(
      labels,
    );
    const updates = this.#counter("p2c_updates_total", "Updates of a balancer's endpoints.");
    this.#updates = {
      Reset: updates.with({ op: "Reset", ...labels }),
      Add: updates.with({ op: "Add", ...labels }),
      Remove: updates.with({ op: "Remove", ...labels }),
    };
    this.#length = this.#gauge("queue_length", "Requests that wait for an endpoint.").with(labels);
    this.#requests = this.#counter(
      "queue_requests_total",
      "Requests that entered a balancer's queue.",
    ).with(labels);
    this.#latency = registry
      .histogram(
        `${prefix}_queue_latency_seconds`,
        "Time that requests spent in a balancer's queue.",
        LATENCY_BOUNDS,
        { unit: "seconds" },
      )
      .with(labels);
    this.#opened = this.#counter("queue_gate_open_total", "Times the gate opened.").with(labels);
    this.#openedAt = this.#gauge("queue_gate_open_time_seconds", "When the gate last opened.").with(
      labels,
    );
    this.#shut = this.#counter("queue_gate_shut_total", "Times the gate shut.").with(labels);
    this.#shutAt = this.#gauge("queue_gate_shut_time_seconds", "When the gate last shut.").with(
      labels,
    );
    this.#timeout = this.#gauge(
      "queue_gate_timeout_seconds",
      "How long nothing may be ready before the gate shuts.",
    ).with(labels);
  }

  gateTimeout(seconds: number): void {
    this.#timeout.set(seconds);
  }

  passed(): void {
    this.#requests.inc();
    this.#latency.observe(0);
  }

  queued(): void {
    this.#requests.inc();
    this.#length.inc();
  }

  dequeued(seconds: number, length: number): void {
    this.#latency.observe(seconds);
    this.#length.set(length);
  }

  updated(op: "Reset" | "Add" | "Remove"): void {
    this.#updates[op].inc();
  }

  endpoints(ready: number, known: number): void {
    this.#ready.set(ready);
    this.#pending.set(known - ready);
    this.#known.set(known);
  }

  gateOpened(wallMs: number): void {
    this.#opened.inc();
    this.#openedAt.set(wallMs / 1000);
  }

  gateShut(wallMs: number): void {
    this.#shut.inc();
    this.#shutAt.set(wallMs / 1000);
  }

  close(): void {
    const labels = this.#labels;
    const state = this.#gauge("endpoints", "");
    state.remove({ endpoint_state: "ready", ...labels });
    state.remove({ endpoint_state: "pending", ...labels });
    const updates = this.#counter("p2c_updates_total", "");
    for (const op of ["Reset", "Add", "Remove"]) updates.remove({ op, ...labels });
    for (const name of GAUGES) this.#gauge(name, "").remove(labels);
    for (const name of COUNTERS) this.#counter(name, "").remove(labels);
    this.#registry
      .histogram(`${this.#prefix}_queue_latency_seconds`, "", LATENCY_BOUNDS)
      .remove(labels);
  }

  #counter(name: string, help: string): ReturnType<Registry["counter"]> {
    return this.#registry.counter(`${this.#prefix}_${name}`, help);
  }

  #gauge(name: string, help: string): ReturnType<Registry["gauge"]> {
    return this.#registry.gauge(`${this.#prefix}_${name}`, help);
  }
}

const GAUGES = [
  "p2c_endpoints",
  "queue_length",
  "queue_gate_open_time_seconds",
  "queue_gate_shut_time_seconds",
  "queue_gate_timeout_seconds",
];
const COUNTERS = ["queue_requests_total", "queue_gate_open_total", "queue_gate_shut_total"];
