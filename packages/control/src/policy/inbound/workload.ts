import { Interner } from "@heddle/base/interner";
import type { Container, Pod, Probe } from "@heddle/kube/types/core";
import type { ExternalWorkload } from "@heddle/kube/types/linkerd";
import type { Annotations } from "../annotations.ts";
import { OPAQUE_PORTS } from "../annotations.ts";
import { PortSet, parsePortSet } from "../port-set.ts";
import { type DefaultPolicy, parseDefaultPolicy } from "./default-policy.ts";

export type WorkloadKind = "pod" | "external-workload";

/** What policy wants to know of a pod or a machine. */
export interface Workload {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: the mesh's own. */
  readonly defaultPolicy: DefaultPolicy | undefined;
  readonly opaquePorts: PortSet;
  readonly requireIdentityPorts: PortSet;
  /** A name may stand for several numbers. */
  readonly namedPorts: ReadonlyMap<string, ReadonlySet<number>>;
  /** Paths that the kubelet asks for, by port, in their order. */
  readonly probes: ReadonlyMap<number, ReadonlySet<string>>;
}

// Most pods have neither, and there are very many pods.
const NO_PORTS: Workload["namedPorts"] = new Map();
const NO_PROBES: Workload["probes"] = new Map();
const labelSets = new Interner<Workload["labels"]>();

export function podWorkload(pod: Pod, onBad: (problem: string) => void): Workload {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const namedPorts = new Map<string, Set<number>>();
  const probes = new Map<number, Set<string>>();
  for (const container of containers) {
    for (const { name, containerPort, protocol } of container.ports ?? []) {
      if (name === undefined || !isTcp(protocol)) continue;
      addTo(namedPorts, name, containerPort);
    }
    addProbes(probes, container);
  }
  return {
    kind: "pod",
    namedPorts: namedPorts.size === 0 ? NO_PORTS : namedPorts,
    probes: probes.size === 0 ? NO_PROBES : probes,
    ...common(pod, onBad),
  };
}

export function externalWorkload(
  workload: ExternalWorkload,
  onBad: (problem: string) => void,
): Workload {
  const namedPorts = new Map<string, Set<number>>();
  for (const { name, port, protocol } of workload.spec.ports ?? []) {
    if (name !== undefined && isTcp(protocol)) namedPorts.set(name, new Set([port]));
  }
  return {
    kind: "external-workload",
    namedPorts,
    probes: NO_PROBES,
    ...common(workload, onBad),
  };
}

function common(
  object: Pod | ExternalWorkload,
  onBad: (problem: string) => void,
): Omit<Workload, "kind" | "namedPorts" | "probes"> {
  const { namespace = "", name = "", labels = {}, annotations = {} } = object.metadata;
  const policy = annotations["config.linkerd.io/default-inbound-policy"];
  const defaultPolicy = policy === undefined ? undefined : parseDefaultPolicy(policy);
  if (policy !== undefined && defaultPolicy === undefined) {
    onBad(`"${policy}" is not a default policy`);
  }
  return {
    namespace,
    name,
    labels: labelSets.of(labels),
    defaultPolicy,
    opaquePorts: portsOf(annotations, OPAQUE_PORTS, onBad),
    requireIdentityPorts: portsOf(
      annotations,
      "config.linkerd.io/proxy-require-identity-inbound-ports",
      onBad,
    ),
  };
}

/** A list with a bad item counts as empty. */
function portsOf(annotations: Annotations, key: string, onBad: (problem: string) => void): PortSet {
  try {
    return parsePortSet(annotations[key] ?? "");
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    onBad(`${key}: ${error.message}`);
    return PortSet.EMPTY;
  }
}

function isTcp(protocol: string | undefined): boolean {
  return protocol === undefined || protocol.toUpperCase() === "TCP";
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, new Set([value]));
  else known.add(value);
}

function addProbes(probes: Map<number, Set<string>>, container: Container): void {
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    const port = probePort(probe, container);
    const path = probePath(probe?.httpGet?.path);
    if (port !== undefined && path !== undefined) addTo(probes, port, path);
  }
}

/** A probe's port may be named by a port of the same container, and of no other. */
function probePort(probe: Probe | undefined, container: Container): number | undefined {
  const port = probe?.httpGet?.port;
  if (port === undefined) return undefined;
  const wanted = String(port);
  if (/^[0-9]{1,5}$/.test(wanted)) return Number(wanted);
  const named = (container.ports ?? []).find(
    ({ name, protocol }) => name?.toLowerCase() === wanted.toLowerCase() && isTcp(protocol),
  );
  return named?.containerPort;
}

/** Undefined for what no request line can carry. */
function probePath(text: string | undefined): string | undefined {
  const path = (text === undefined || text === "" ? "/" : text).split("?", 1)[0]!;
  const absolute = path.startsWith("/") ? path : `/${path}`;
  return /^[\x21-\x7e]+$/.test(absolute) ? absolute : undefined;
}
