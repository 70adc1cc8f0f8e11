import { MeshError } from "@heddle/base/errors";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
} from "@heddle/kube/types/core";
import type { Values } from "../helm/set-values.ts";
import type { ClusterReader } from "./installed.ts";

const ROUTES = ["httproutes", "grpcroutes"].map((kind) => `${kind}.gateway.networking.k8s.io`);
const RELEASE =
  "kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml";

/** Who installed the kinds of the Gateway API. */
export type GatewayApi =
  | { readonly is: "absent" }
  /** By us or by Linkerd, whose place we take. */
  | { readonly is: "ours" }
  | { readonly is: "external"; readonly tooOld: string | undefined };

export async function findGatewayApi(cluster: ClusterReader): Promise<GatewayApi> {
  const found: CustomResourceDefinition[] = [];
  for (const name of ROUTES) {
    const definition = await cluster.find(CUSTOM_RESOURCE_DEFINITIONS, { name });
    if (definition !== undefined) found.push(definition);
  }
  if (found.length === 0) return { is: "absent" };
  const isOurs = found.some(
    ({ metadata }) => metadata.annotations?.["linkerd.io/created-by"] !== undefined,
  );
  if (isOurs) return { is: "ours" };
  const old = found.find(({ spec }) => !spec.versions.some(({ name }) => name === "v1"));
  return { is: "external", tooOld: old?.metadata.name };
}

/** What `installGatewayAPI` is where nobody says it: what is there already stays as it is. */
export function gatewayDefault(api: GatewayApi): Values {
  return { installGatewayAPI: api.is === "ours" };
}

/** @throws MeshError `gateway_api` if these values do not fit what the cluster has. */
export function checkGatewayApi(api: GatewayApi, values: Values): void {
  const wanted = values["enableHttpRoutes"] ?? values["installGatewayAPI"];
  const problem = problemOf(api, wanted === true);
  if (problem === undefined) return;
  throw new MeshError("gateway_api", "client", `Cannot install the resources: ${problem}`);
}

function problemOf(api: GatewayApi, isWanted: boolean): string | undefined {
  if (api.is === "absent" && !isWanted) {
    return `the Gateway API must be installed first: ${RELEASE} (or let us install its routes: --set installGatewayAPI=true)`;
  }
  if (api.is === "ours" && !isWanted) {
    return "the Gateway API's routes were installed with this mesh, and would be taken away; leave installGatewayAPI on";
  }
  if (api.is === "external" && isWanted) {
    return "the Gateway API is somebody else's here, and would be overwritten; leave installGatewayAPI off";
  }
  if (api.is === "external" && api.tooOld !== undefined) {
    return `${api.tooOld} has no version v1; the Gateway API must be v1.1.1 or later: ${RELEASE}`;
  }
  return undefined;
}
