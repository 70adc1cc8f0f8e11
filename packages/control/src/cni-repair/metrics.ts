import type { Counter, Histogram, Registry } from "@heddle/base/metrics";

/** Under the names that Linkerd's controller gives them. */
export interface RepairMetrics {
  readonly queueOverflow: Counter;
  readonly podsDeleted: Counter;
  readonly podsDeleteLatency: Histogram;
  readonly podsDeleteErrors: Counter;
  readonly podsDeleteTimeouts: Counter;
  readonly eventsPublishLatency: Histogram;
  readonly eventsPublishErrors: Counter;
  readonly eventsPublishTimeouts: Counter;
}

const PREFIX = "linkerd_cni_repair_controller_";
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function repairMetrics(registry: Registry): RepairMetrics {
  const counter = (name: string, help: string): Counter =>
    registry.counter(`${PREFIX}${name}_total`, help).with();
  const latency = (name: string, help: string): Histogram =>
    registry.histogram(`${PREFIX}${name}_latency_seconds`, help, SECONDS).with();
  return {
    queueOverflow: counter("queue_overflow", "Failed pods that were let go for now"),
    podsDeleted: counter("pods_deleted", "Pods that were deleted"),
    podsDeleteLatency: latency("pods_delete", "How long deleting a pod took"),
    podsDeleteErrors: counter("pods_delete_errors", "Pods that could not be deleted"),
    podsDeleteTimeouts: counter("pods_delete_timeout", "Pods whose deletion took too long"),
    eventsPublishLatency: latency("events_publish", "How long writing an event took"),
    eventsPublishErrors: counter("events_publish_errors", "Events that could not be written"),
    eventsPublishTimeouts: counter("events_publish_timeouts", "Events that took too long to write"),
  };
}
