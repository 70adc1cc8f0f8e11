import { MeshError } from "@heddle/base/errors";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
} from "@heddle/kube/types/core";
import type { Values } from "../helm/set-values.ts";
import type { ClusterReader } from "./installed.ts";

/** Kinds that are installed together, and the value that asks for them. */
interface RouteKinds {
  readonly value: "enableHttpRoutes" | "enableTlsRoutes" | "enableTcpRoutes";
  readonly names: readonly string[];
  /** The mesh needs them, and in version v1. */
  readonly isNeeded: boolean;
}

const definitionOf = (plural: string): string => `${plural}.gateway.networking.k8s.io`;

const KINDS: readonly RouteKinds[] = [
  {
    value: "enableHttpRoutes",
    names: ["httproutes", "grpcroutes"].map(definitionOf),
    isNeeded: true,
  },
  { value: "enableTlsRoutes", names: [definitionOf("tlsroutes")], isNeeded: false },
  { value: "enableTcpRoutes", names: [definitionOf("tcproutes")], isNeeded: false },
];

const RELEASE =
  "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml";

/** Who installed some kinds of the Gateway API. */
export type Origin =
  | { readonly is: "absent" }
  /** By us or by Linkerd, whose place we take. */
  | { readonly is: "ours" }
  | { readonly is: "external"; readonly tooOld: string | undefined };

/** By the value that asks for them. */
export type GatewayApi = ReadonlyMap<RouteKinds["value"], Origin>;

export async function findGatewayApi(cluster: ClusterReader): Promise<GatewayApi> {
  const api = new Map<RouteKinds["value"], Origin>();
  for (const kinds of KINDS) api.set(kinds.value, await findKinds(cluster, kinds));
  return api;
}

async function findKinds(cluster: ClusterReader, kinds: RouteKinds): Promise<Origin> {
  const found: CustomResourceDefinition[] = [];
  for (const name of kinds.names) {
    const definition = await cluster.find(CUSTOM_RESOURCE_DEFINITIONS, { name });
    if (definition !== undefined) found.push(definition);
  }
  if (found.length === 0) return { is: "absent" };
  const isOurs = found.some(
    ({ metadata }) => metadata.annotations?.["linkerd.io/created-by"] !== undefined,
  );
  if (isOurs) return { is: "ours" };
  const old = found.find(({ spec }) => !spec.versions.some(({ name }) => name === "v1"));
  return { is: "external", tooOld: kinds.isNeeded ? old?.metadata.name : undefined };
}

/**
 * What the values are where nobody says them: what is there already stays as it is. Kinds that are
 * absent come with the others.
 */
export function gatewayDefault(api: GatewayApi): Values {
  const values: Record<string, boolean> = {
    installGatewayAPI: api.get("enableHttpRoutes")?.is === "ours",
  };
  for (const { value, isNeeded } of KINDS) {
    const origin = api.get(value)?.is;
    if (isNeeded || origin === undefined || origin === "absent") continue;
    values[value] = origin === "ours";
  }
  return values;
}

/** @throws MeshError `gateway_api` if these values do not fit what the cluster has. */
export function checkGatewayApi(api: GatewayApi, values: Values): void {
  for (const kinds of KINDS) {
    const wanted = values[kinds.value] ?? values["installGatewayAPI"];
    const problem = problemOf(kinds, api.get(kinds.value) ?? { is: "absent" }, wanted === true);
    if (problem === undefined) continue;
    throw new MeshError("gateway_api", "client", `Cannot install the resources: ${problem}`);
  }
}

function problemOf(kinds: RouteKinds, origin: Origin, isWanted: boolean): string | undefined {
  const names = kinds.names.join(" and ");
  if (origin.is === "absent" && !isWanted && kinds.isNeeded) {
    return `the Gateway API must be installed first: ${RELEASE} (or let us install its routes: --set installGatewayAPI=true)`;
  }
  if (origin.is === "ours" && !isWanted) {
    return `${names} were installed with this mesh, and would be taken away; leave installGatewayAPI and ${kinds.value} on`;
  }
  if (origin.is === "external" && isWanted) {
    return `${names} are somebody else's here, and would be overwritten; leave installGatewayAPI and ${kinds.value} off`;
  }
  if (origin.is === "external" && origin.tooOld !== undefined) {
    return `${origin.tooOld} has no version v1; the Gateway API must be v1.1.1 or later: ${RELEASE}`;
  }
  return undefined;
}
