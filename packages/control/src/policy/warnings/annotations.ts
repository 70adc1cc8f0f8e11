import { ROUTE_MERGE } from "../../route-merge.ts";
import { type Annotations, OPAQUE_PORTS, parseTrafficSettings } from "../annotations.ts";

const RETRY_AND_TIMEOUT = [
  "retry.linkerd.io/limit",
  "retry.linkerd.io/timeout",
  "timeout.linkerd.io/request",
  "timeout.linkerd.io/response",
  "timeout.linkerd.io/idle",
];
const OF_HTTP_ROUTES: readonly string[] = ["retry.linkerd.io/http", ...RETRY_AND_TIMEOUT];
const OF_GRPC_ROUTES: readonly string[] = ["retry.linkerd.io/grpc", ...RETRY_AND_TIMEOUT];
const OF_NETWORKS: readonly string[] = [
  "retry.linkerd.io/http",
  ...OF_GRPC_ROUTES,
  "balancer.linkerd.io/failure-accrual",
  ...["max-failures", "min-penalty", "max-penalty", "jitter-ratio"].map(
    (name) => `balancer.linkerd.io/failure-accrual-consecutive-${name}`,
  ),
  ...[
    "failure-accrual-success-rate-threshold",
    "failure-accrual-success-rate-window",
    "failure-accrual-success-rate-min-requests",
    "failure-accrual-honor-retry-after",
  ].map((name) => `balancer.alpha.linkerd.io/${name}`),
  OPAQUE_PORTS,
];

const OF_SERVICES: readonly string[] = [
  ...OF_NETWORKS,
  ROUTE_MERGE,
  ...["penalize-failures", "load-biaser-penalty", "load-biaser-max-retry-after"].map(
    (name) => `balancer.alpha.linkerd.io/${name}`,
  ),
];

/** What the policy controller reads of an object's annotations, by its kind. */
const KNOWN: ReadonlyMap<string, readonly string[]> = new Map([
  ["HTTPRoute", OF_HTTP_ROUTES],
  ["GRPCRoute", OF_GRPC_ROUTES],
  ["EgressNetwork", OF_NETWORKS],
  ["Service", OF_SERVICES],
]);

/** Annotations of these do something to traffic, somewhere. */
const TRAFFIC = /^(retry|timeout|balancer|balancer\.alpha)\.linkerd\.io\//;
/** So many letters may be wrong, missing or too many. */
const MAX_DISTANCE = 2;
/** No known annotation is nearly as long. */
const MAX_CHARS = 100;

/** Warns of annotations that do nothing, but look as if they should. */
export function annotationWarnings(kind: string, annotations: Annotations): string[] {
  const known = KNOWN.get(kind) ?? [];
  return [...unreadable(kind, annotations), ...unknown(kind, known, annotations)];
}

/** Those of an EgressNetwork or a Service count one by one, if they can be read. */
function unreadable(kind: string, annotations: Annotations): string[] {
  const warnings: string[] = [];
  if (kind !== "EgressNetwork" && kind !== "Service") return warnings;
  parseTrafficSettings(annotations, (key, problem) => {
    // Of a Service, discovery takes names of ports too, which policies do not know.
    if (kind === "Service" && key === OPAQUE_PORTS) return;
    warnings.push(`metadata.annotations[${key}]: ${problem}, and does nothing`);
  });
  return warnings;
}

function unknown(kind: string, known: readonly string[], annotations: Annotations): string[] {
  return Object.keys(annotations).flatMap((key) => {
    if (known.includes(key) || key.length > MAX_CHARS) return [];
    const near = known.find((one) => isNear(key, one));
    if (near === undefined && !TRAFFIC.test(key)) return [];
    const fix = near === undefined ? "remove it" : `did you mean ${near}?`;
    return [`metadata.annotations[${key}]: does nothing on a ${kind}: ${fix}`];
  });
}

/** Whether the edit distance (Levenshtein) is small. Both texts are short. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > MAX_DISTANCE) return false;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]! <= MAX_DISTANCE;
}
