import { formatSelector } from "@heddle/kube/selector";
import { PODS } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, SERVERS, type Server } from "@heddle/kube/types/linkerd";
import { PolicyServer } from "../inbound/server-object.ts";
import { externalWorkload, podWorkload, type Workload } from "../inbound/workload.ts";
import { byAge } from "../refs.ts";
import type { Subject, Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";

/** Of those that a Server selects: where it overlaps with another, they mostly all do. */
const MAX_COMPARED = 20;
/** Pods that are part of a mesh have it. */
const MESHED = "linkerd.io/control-plane-ns";

type Spec = Server["spec"];

/** Warns of a Server that selects nothing, and of others that select the same. */
export async function warnOfServer(
  spec: Spec,
  subject: Subject,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  const workloads = await selected(spec, subject.namespace, around);
  const field = spec.podSelector === undefined ? "externalWorkloadSelector" : "podSelector";
  const what = spec.podSelector === undefined ? "ExternalWorkload" : "pod";
  if (workloads.length === 0) {
    warn(`spec.${field}: matches no ${what} in ${subject.namespace} yet: check its labels`);
    return;
  }
  const meshed = workloads.filter(({ kind, labels }) => kind !== "pod" || MESHED in labels);
  if (meshed.length === 0) {
    warn(`spec.${field}: matches no meshed pod yet: a Server does nothing without a proxy`);
    return;
  }
  const { port } = spec;
  if (typeof port === "string" && !meshed.some(({ namedPorts }) => namedPorts.has(port))) {
    warn(`spec.port: no ${what} that is selected has a port named ${port}: check its spelling`);
    return;
  }
  await warnOfOverlaps(spec, subject, meshed, around, warn);
}

async function selected(
  { podSelector, externalWorkloadSelector }: Spec,
  namespace: string,
  around: Surroundings,
): Promise<Workload[]> {
  const ignore = (): void => {};
  if (podSelector !== undefined) {
    const pods = await around.list(PODS, namespace, formatSelector(podSelector));
    return pods.map((pod) => podWorkload(pod, ignore));
  }
  const text = formatSelector(externalWorkloadSelector ?? {});
  const machines = await around.list(EXTERNAL_WORKLOADS, namespace, text);
  return machines.map((machine) => externalWorkload(machine, ignore));
}

async function warnOfOverlaps(
  spec: Spec,
  subject: Subject,
  workloads: readonly Workload[],
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  for (const other of await around.list(SERVERS, subject.namespace)) {
    const { name = "", creationTimestamp } = other.metadata;
    if (name === subject.name) continue;
    const shared = sharedPort(spec, serverOf(other), workloads.slice(0, MAX_COMPARED));
    if (shared === undefined) continue;
    const isOlder = byAge({ created: creationTimestamp, name }, subject) < 0;
    const winner = isOlder ? `${name} is older and wins` : `${name} is younger and loses`;
    warn(`spec: Server ${name} selects port ${shared.port} of ${shared.workload} too: ${winner}`);
  }
}

function sharedPort(
  { port }: Spec,
  other: PolicyServer | undefined,
  workloads: readonly Workload[],
): { readonly port: number; readonly workload: string } | undefined {
  if (other === undefined) return undefined;
  for (const workload of workloads) {
    const ports = typeof port === "number" ? [port] : (workload.namedPorts.get(port) ?? []);
    for (const number of ports) {
      if (other.selects(workload, number)) return { port: number, workload: workload.name };
    }
  }
  return undefined;
}

/** Undefined for one that nobody can read: it governs nothing. */
function serverOf(server: Server): PolicyServer | undefined {
  try {
    return new PolicyServer(server);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
