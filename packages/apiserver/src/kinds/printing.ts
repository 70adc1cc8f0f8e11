import { digArray, digString, type JsonObject, own } from "@heddle/apiserver/json/value";

/** `80/TCP,443:30443/TCP`, as `kubectl get services` shows ports. */
export function servicePorts(object: JsonObject): string {
  const ports = digArray(object, "spec", "ports").map((port) => {
    const node = own(port, "nodePort");
    const number = typeof node === "number" ? `${own(port, "port")}:${node}` : own(port, "port");
    return `${number}/${own(port, "protocol") ?? "TCP"}`;
  });
  return ports.length === 0 ? "<none>" : ports.join(",");
}

export function podReady(object: JsonObject): string {
  const statuses = digArray(object, "status", "containerStatuses");
  const ready = statuses.filter((status) => own(status, "ready") === true).length;
  return `${ready}/${digArray(object, "spec", "containers").length}`;
}

export function podRestarts(object: JsonObject): number {
  let sum = 0;
  for (const status of digArray(object, "status", "containerStatuses")) {
    const count = own(status, "restartCount");
    if (typeof count === "number") sum += count;
  }
  return sum;
}

export function podStatus(object: JsonObject): string {
  if (digString(object, "metadata", "deletionTimestamp") !== undefined) return "Terminating";
  for (const status of digArray(object, "status", "containerStatuses")) {
    const waiting = digString(status, "state", "waiting", "reason");
    if (waiting !== undefined) return waiting;
  }
  return digString(object, "status", "reason") ?? digString(object, "status", "phase") ?? "Unknown";
}

export function nodeStatus(object: JsonObject): string {
  const ready = digArray(object, "status", "conditions").find(
    (condition) => own(condition, "type") === "Ready",
  );
  const status = own(ready, "status") === "True" ? "Ready" : ready ? "NotReady" : "Unknown";
  const unschedulable = own(own(object, "spec"), "unschedulable") === true;
  return unschedulable ? `${status},SchedulingDisabled` : status;
}
