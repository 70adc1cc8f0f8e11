import type { Clock } from "@heddle/base/clock";
import type { Counter, Gauge, Registry } from "@heddle/base/metrics";

/** How fresh what we know of one kind is. Made once per kind by `WatchMetricFamilies`. */
export class WatchMetrics {
  readonly #clock: Clock;
  readonly #lists: Counter;
  readonly #failures: Counter;
  readonly #isConnected: Gauge;
  readonly #staleness: Gauge;
  #heardMs: number;

  constructor(clock: Clock, lists: Counter, failures: Counter, isConnected: Gauge, stale: Gauge) {
    this.#clock = clock;
    this.#lists = lists;
    this.#failures = failures;
    this.#isConnected = isConnected;
    this.#staleness = stale;
    this.#heardMs = clock.nowMs();
  }

  listed(): void {
    this.#lists.inc();
    this.heard();
  }

  connected(): void {
    this.#isConnected.set(1);
    this.heard();
  }

  disconnected(): void {
    this.#isConnected.set(0);
    this.heard();
  }

  failed(): void {
    this.#failures.inc();
  }

  heard(): void {
    this.#heardMs = this.#clock.nowMs();
  }

  /** While connected we are as fresh as the server; otherwise age counts from the last word. */
  refresh(): void {
    const isFresh = this.#isConnected.value === 1;
    const age = isFresh ? 0 : (this.#clock.nowMs() - this.#heardMs) / 1000;
    this.#staleness.set(age);
  }
}

export class WatchMetricFamilies {
  readonly #of: (resource: string) => WatchMetrics;
  readonly #all = new Map<string, WatchMetrics>();

  constructor(registry: Registry, clock: Clock) {
    const lists = registry.counter("heddle_kube_lists_total", "Full lists made by watches");
    const failures = registry.counter(
      "heddle_kube_watch_failures_total",
      "Failed lists and watches",
    );
    const connected = registry.gauge("heddle_kube_watch_connected", "1 while a watch is open");
    const staleness = registry.gauge(
      "heddle_kube_watch_staleness_seconds",
      "Age of what is known, 0 while the watch is open",
      { unit: "seconds" },
    );
    this.#of = (resource) => {
      const labels = { resource };
      return new WatchMetrics(
        clock,
        lists.with(labels),
        failures.with(labels),
        connected.with(labels),
        staleness.with(labels),
      );
    };
    registry.collect(() => {
      for (const metrics of this.#all.values()) metrics.refresh();
    });
  }

  /** @param resource - `servers.policy.linkerd.io`. */
  of(resource: string): WatchMetrics {
    let metrics = this.#all.get(resource);
    if (metrics === undefined) {
      metrics = this.#of(resource);
      this.#all.set(resource, metrics);
    }
    return metrics;
  }
}
