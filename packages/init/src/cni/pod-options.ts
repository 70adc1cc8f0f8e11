import { MeshError } from "@heddle/base/errors";
import type { Namespace, Pod, Service } from "@heddle/kube/types/core";
import type { InitOptions } from "../options.ts";

/** Why a pod is left alone; undefined if it is to have rules. */
export function whyNoRules(pod: Pod): string | undefined {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  if (initContainers.some(({ name }) => name === "linkerd-init")) {
    return "linkerd-init initContainer is present";
  }
  const isMeshed = [...containers, ...initContainers].some(({ name }) => name === "linkerd-proxy");
  return isMeshed ? undefined : "linkerd-proxy is not present";
}

/** A part of the control plane, which must reach the API server without its proxy. */
export function isControlPlane(pod: Pod): boolean {
  return (pod.metadata.labels?.["linkerd.io/control-plane-component"] ?? "") !== "";
}

/** Every port of the Service default/kubernetes, and every number that it leads to. */
export function apiServerPorts(service: Service): string[] {
  return (service.spec?.ports ?? []).flatMap(({ port, targetPort }) =>
    typeof targetPort === "number" ? [String(port), String(targetPort)] : [String(port)],
  );
}

/** What is skipped if that Service cannot be read. */
export const DEFAULT_API_SERVER_PORTS: readonly string[] = ["443", "6443"];

/**
 * What a pod's annotations, or else its namespace's, make of the node's options. Skipped inbound
 * ports are added to the node's, which keep the proxy's own out of the rules; all else replaces.
 *
 * @throws MeshError `cni_config` for an annotation that is no number.
 */
export function podOptions(
  options: InitOptions,
  pod: Pod,
  namespace: Namespace,
  skippedApiPorts: readonly string[],
): InitOptions {
  const annotation = (name: string): string => {
    const key = `config.linkerd.io/${name}`;
    return pod.metadata.annotations?.[key] || namespace.metadata.annotations?.[key] || "";
  };
  const list = (name: string): readonly string[] | undefined => {
    const text = annotation(name);
    return text === "" ? undefined : text.split(",");
  };
  const id = (name: string, otherwise: number): number => {
    const text = annotation(name);
    return text === "" ? otherwise : wholeNumber(name, text);
  };
  const outbound = list("skip-outbound-ports") ?? options.outboundPortsToIgnore;
  return {
    ...options,
    inboundPortsToIgnore: [...options.inboundPortsToIgnore, ...(list("skip-inbound-ports") ?? [])],
    outboundPortsToIgnore: [...outbound, ...skippedApiPorts],
    subnetsToIgnore: list("skip-subnets") ?? options.subnetsToIgnore,
    proxyUid: id("proxy-uid", options.proxyUid),
    proxyGid: id("proxy-gid", options.proxyGid),
  };
}

function wholeNumber(name: string, text: string): number {
  if (/^-?\d{1,10}$/.test(text)) return Number(text);
  const message = `Cannot use annotation config.linkerd.io/${name}: "${text}" is not a whole number`;
  throw new MeshError("cni_config", "client", message);
}
