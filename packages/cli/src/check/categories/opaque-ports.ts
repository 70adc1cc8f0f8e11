import { ENDPOINT_SLICES, SERVICES, type Service } from "@heddle/kube/types/core";
import { keyOf } from "@heddle/kube/types/meta";
import { type Check, failedFor } from "../check.ts";
import { CHECKED_PODS, type CheckedPod } from "../resources.ts";

const OPAQUE_PORTS = "config.linkerd.io/opaque-ports";
const SERVICE_NAME = "kubernetes.io/service-name";

type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

/**
 * A Service and the pods behind it must say the same of a port: clients of the Service go by the
 * one, those of the pod by the other. As in Linkerd, ranges and names are not understood here.
 */
export const OPAQUE_PORTS_CHECK: Check = {
  description: "opaque ports are properly annotated",
  anchor: "linkerd-opaque-ports-definition",
  isWarning: true,
  async run(mesh, signal) {
    const options = { namespace: mesh.options.dataNamespace, signal };
    const [services, slices, pods] = await Promise.all([
      mesh.client.list(SERVICES, options),
      mesh.client.list(ENDPOINT_SLICES, options),
      mesh.client.list(CHECKED_PODS, options),
    ]);
    const podsByKey = new Map(pods.items.map((pod) => [keyOf(pod), pod]));
    const podsOf = new Map<string, Set<CheckedPod>>();
    for (const { metadata, endpoints } of slices.items) {
      const service = `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME] ?? ""}`;
      const behind = podsOf.get(service) ?? new Set();
      podsOf.set(service, behind);
      for (const { targetRef } of endpoints ?? []) {
        if (targetRef?.kind !== "Pod") continue;
        const pod = podsByKey.get(`${targetRef.namespace}/${targetRef.name}`);
        if (pod !== undefined) behind.add(pod);
      }
    }
    const problems: string[] = [];
    for (const service of services.items) {
      if (service.spec?.clusterIP === "None") continue;
      for (const pod of podsOf.get(keyOf(service)) ?? []) {
        const problem = opaquePortsProblem(service, pod);
        if (problem !== undefined) problems.push(problem);
      }
    }
    return failedFor("opaque ports are not annotated alike", problems);
  },
};

/** What a Service and a pod behind it say differently. */
export function opaquePortsProblem(service: Service, pod: CheckedPod): string | undefined {
  const ofService = annotated(service.metadata.annotations);
  const ofPod = annotated(pod.metadata.annotations);
  const bad = [...ofService, ...ofPod].find((item) => !/^[+-]?\d+$/.test(item));
  if (bad !== undefined) {
    return `"${bad}" is no port number: service ${keyOf(service)}, pod ${keyOf(pod)}`;
  }
  const servicePorts = new Set(ofService.map(Number));
  const podPorts = new Set(ofPod.map(Number));
  for (const port of service.spec?.ports ?? []) {
    const isOpaque = servicePorts.has(port.port);
    const declared = declaredTargets(port, pod);
    const missing = isOpaque ? declared.find((target) => !podPorts.has(target)) : undefined;
    if (missing !== undefined) {
      return `service ${keyOf(service)} expects target port ${missing} to be opaque; add it to pod ${keyOf(pod)} ${OPAQUE_PORTS} annotation`;
    }
    // A port by number may be served without being declared.
    const number = targetNumber(port);
    const targets = number === undefined ? declared : [number];
    const extra = isOpaque ? undefined : targets.find((target) => podPorts.has(target));
    if (extra !== undefined) {
      return `pod ${keyOf(pod)} expects port ${extra} to be opaque; add ${port.port} to service ${keyOf(service)} ${OPAQUE_PORTS} annotation`;
    }
  }
  return undefined;
}

/** Undefined for a target by name. */
function targetNumber({ port, targetPort }: ServicePort): number | undefined {
  const wanted = targetPort === undefined || targetPort === 0 ? port : targetPort;
  return typeof wanted === "number" ? wanted : undefined;
}

/** The ports that the pod's containers declare and a Service's port leads to. */
function declaredTargets(port: ServicePort, pod: CheckedPod): readonly number[] {
  const number = targetNumber(port);
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  return containers
    .flatMap(({ ports }) => ports ?? [])
    .filter(({ containerPort, name }) =>
      number === undefined ? name === port.targetPort : containerPort === number,
    )
    .map(({ containerPort }) => containerPort);
}

function annotated(annotations: Readonly<Record<string, string>> = {}): readonly string[] {
  const text = annotations[OPAQUE_PORTS] ?? "";
  return text === "" ? [] : text.split(",").map((item) => item.trim());
}
