import { MeshError } from "@heddle/base/errors";
import { readValues, type Values } from "@heddle/inject/values";
import type { KubeClient } from "@heddle/kube/client";
import { CONFIG_MAPS } from "@heddle/kube/types/core";

/** Where the control plane keeps the values that it was installed with. */
const CONFIG = "linkerd-config";
const TRUST_ROOTS = { map: "linkerd-identity-trust-roots", key: "ca-bundle.crt" } as const;

/**
 * What the control plane says about proxies, as its injector reads it: the anchors in use replace
 * those that it was installed with.
 *
 * @param version - Of images, where the values name none.
 */
export async function clusterValues(
  client: KubeClient,
  namespace: string,
  version: string,
): Promise<Values> {
  const config = await client.find(CONFIG_MAPS, { namespace, name: CONFIG });
  const text = config?.data?.["values"];
  if (text === undefined) {
    const message = `Cannot read the mesh's values: ConfigMap ${namespace}/${CONFIG} is not there; install the control plane first, or name its namespace with --linkerd-namespace`;
    throw new MeshError("no_values", "client", message);
  }
  const values = readValues(text, version);
  const roots = await client.find(CONFIG_MAPS, { namespace, name: TRUST_ROOTS.map });
  const anchors = roots?.data?.[TRUST_ROOTS.key];
  return anchors === undefined ? values : { ...values, identityTrustAnchorsPEM: anchors };
}
