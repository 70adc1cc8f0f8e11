import type { Counter, Histogram, Registry } from "@heddle/base/metrics";

const SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** Linkerd's metrics of what becomes of statuses. */
export class StatusMetrics {
  readonly patches: Counter;
  readonly errors: Counter;
  readonly timeouts: Counter;
  readonly enqueues: Counter;
  readonly dequeues: Counter;
  readonly drops: Counter;
  readonly seconds: Histogram;

  constructor(registry: Registry) {
    const counter = (name: string, help: string): Counter =>
      registry.counter(`resource_status_${name}_total`, help).with();
    this.patches = counter("patches", "Statuses written");
    this.errors = counter("patch_api_errors", "Statuses that the API refused");
    this.timeouts = counter("patch_timeouts", "Statuses that took too long to write");
    this.enqueues = counter("patch_enqueues", "Statuses found to be wrong");
    this.dequeues = counter("patch_dequeues", "Statuses taken up for writing");
    this.drops = counter("patch_drops", "Statuses that were right when their turn came");
    this.seconds = registry
      .histogram("resource_status_patch_duration_seconds", "Time to write a status", SECONDS, {
        unit: "seconds",
      })
      .with();
  }
}
