import type { Server } from "@heddle/kube/types/linkerd";
import { DEFAULT_POLICIES, parseDefaultPolicy } from "../inbound/default-policy.ts";
import { SERVER_PROTOCOLS } from "../inbound/server-object.ts";
import { quoted } from "./quoted.ts";

/** Why a Server is denied, or undefined. Its port is held by its shape. */
export function serverProblem(spec: Server["spec"]): string | undefined {
  const { podSelector, externalWorkloadSelector, proxyProtocol, accessPolicy } = spec;
  if (podSelector === undefined && externalWorkloadSelector === undefined) {
    return "spec: selects nothing: add a podSelector or an externalWorkloadSelector";
  }
  if (podSelector !== undefined && externalWorkloadSelector !== undefined) {
    return "spec: podSelector and externalWorkloadSelector exclude each other: remove one";
  }
  if (proxyProtocol !== undefined && !SERVER_PROTOCOLS.has(proxyProtocol)) {
    const known = [...SERVER_PROTOCOLS.keys()].join(", ");
    return `spec.proxyProtocol: ${quoted(proxyProtocol)} is unknown: use one of ${known}`;
  }
  if (accessPolicy !== undefined && parseDefaultPolicy(accessPolicy) === undefined) {
    return `spec.accessPolicy: ${quoted(accessPolicy)} is unknown: use one of ${DEFAULT_POLICIES.join(", ")}`;
  }
  return undefined;
}
