import type {
  AuthorizationPolicy,
  EgressNetwork,
  MeshTlsAuthentication,
  NetworkAuthentication,
  ServerAuthorization,
  TargetRef,
} from "@heddle/kube/types/linkerd";
import { isSpiffeId, parseSpiffeId } from "@heddle/model/identity";
import { GATEWAY_GROUP, POLICY_GROUP, refersTo } from "../refs.ts";
import { networksProblem } from "./networks.ts";
import { quoted } from "./quoted.ts";

// Each function says why a spec is denied, or undefined. Shapes are held by the schemas.

/** Linkerd's pattern of DNS identities: labels in lower case, the first of them `*` at will. */
const DNS_IDENTITY = /^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** @param namespace - The policy's own, the only one that it may be for. */
export function authorizationPolicyProblem(
  spec: AuthorizationPolicy["spec"],
  namespace: string,
): string | undefined {
  return (
    targetProblem(spec.targetRef, namespace) ?? requiredProblem(spec.requiredAuthenticationRefs)
  );
}

export function meshTlsAuthenticationProblem(
  spec: MeshTlsAuthentication["spec"],
): string | undefined {
  for (const [index, identity] of (spec.identities ?? []).entries()) {
    if (isIdentity(identity)) continue;
    return `spec.identities[${index}]: ${quoted(identity)} is no identity: write a spiffe:// id, a DNS name in lower case, *.SUFFIX or *`;
  }
  for (const [index, ref] of (spec.identityRefs ?? []).entries()) {
    const path = `spec.identityRefs[${index}]`;
    if (refersTo(ref, "core", "ServiceAccount")) continue;
    if (!refersTo(ref, "core", "Namespace")) {
      return `${path}: ${kindOf(ref)} has no identity: name a ServiceAccount or a Namespace`;
    }
    if (ref.namespace !== undefined) {
      return `${path}.namespace: a Namespace is in no namespace: remove the field`;
    }
  }
  return undefined;
}

export function networkAuthenticationProblem(
  spec: NetworkAuthentication["spec"],
): string | undefined {
  if (spec.networks.length === 0) return "spec.networks: is empty: name at least one network";
  return networksProblem(spec.networks, "spec.networks");
}

export function serverAuthorizationProblem(spec: ServerAuthorization["spec"]): string | undefined {
  const { client } = spec;
  const { meshTLS } = client;
  if (client.unauthenticated === true && meshTLS !== undefined) {
    return "spec.client: unauthenticated and meshTLS exclude each other: remove one";
  }
  const named = (meshTLS?.identities?.length ?? 0) + (meshTLS?.serviceAccounts?.length ?? 0);
  if (meshTLS?.unauthenticatedTLS === true && named > 0) {
    return "spec.client.meshTLS: unauthenticatedTLS excludes identities and serviceAccounts: remove one";
  }
  return networksProblem(client.networks ?? [], "spec.client.networks");
}

export function egressNetworkProblem(spec: EgressNetwork["spec"]): string | undefined {
  if (spec.networks?.length === 0) {
    return "spec.networks: is empty: name a network, or remove the field for all outside the cluster";
  }
  return networksProblem(spec.networks ?? [], "spec.networks");
}

function targetProblem(target: TargetRef, namespace: string): string | undefined {
  if (refersTo(target, "core", "Namespace")) {
    if (target.name === namespace) return undefined;
    return `spec.targetRef.name: Namespace ${target.name} is not the policy's own: name ${namespace}, or move the policy`;
  }
  const known =
    refersTo(target, POLICY_GROUP, "Server") ||
    refersTo(target, POLICY_GROUP, "HTTPRoute") ||
    refersTo(target, GATEWAY_GROUP, "HTTPRoute") ||
    refersTo(target, GATEWAY_GROUP, "GRPCRoute");
  if (known) return undefined;
  return `spec.targetRef: ${kindOf(target)} cannot be a target: name a Server, a route or a Namespace`;
}

function requiredProblem(refs: readonly TargetRef[]): string | undefined {
  const path = "spec.requiredAuthenticationRefs";
  const mesh = refs.filter((ref) => refersTo(ref, POLICY_GROUP, "MeshTLSAuthentication"));
  const accounts = refs.filter((ref) => refersTo(ref, "core", "ServiceAccount"));
  const networks = refs.filter((ref) => refersTo(ref, POLICY_GROUP, "NetworkAuthentication"));
  if (mesh.length > 1) return `${path}: only one MeshTLSAuthentication may be required: keep one`;
  if (accounts.length > 1) return `${path}: only one ServiceAccount may be required: keep one`;
  if (mesh.length + accounts.length > 1) {
    return `${path}: MeshTLSAuthentication and ServiceAccount exclude each other: keep one`;
  }
  if (networks.length > 1) {
    return `${path}: only one NetworkAuthentication may be required: keep one`;
  }
  const known = new Set([...mesh, ...accounts, ...networks]);
  const others = refs.filter((ref) => !known.has(ref)).map(kindOf);
  if (others.length === 0) return undefined;
  return `${path}: ${others.join(", ")} cannot be required: name a MeshTLSAuthentication, ServiceAccount or NetworkAuthentication`;
}

function kindOf(ref: { readonly group?: string; readonly kind: string }): string {
  return `${ref.group === undefined || ref.group === "" ? "core" : ref.group}/${ref.kind}`;
}

function isIdentity(text: string): boolean {
  return isSpiffeId(text) ? parseSpiffeId(text) !== undefined : DNS_IDENTITY.test(text);
}
