import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "./client.ts";
import { SERVICE_ACCOUNTS, type TokenRequest } from "./types/core.ts";
import type { ObjectRef } from "./types/meta.ts";

const TOKEN_SECONDS = 3_600;

/**
 * Asks for a token of a service account, good for an hour unless said otherwise.
 *
 * @param audiences - Empty: the API server itself.
 * @throws MeshError as `KubeClient` does, and `no_token` if the answer has none.
 */
export async function requestToken(
  client: KubeClient,
  account: ObjectRef,
  audiences: readonly string[],
  lifeSeconds: number = TOKEN_SECONDS,
): Promise<string> {
  const request: TokenRequest = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: {},
    spec: { audiences, expirationSeconds: lifeSeconds },
  };
  const { status } = await client.createBelow(SERVICE_ACCOUNTS, account, "token", request);
  if (status?.token !== undefined) return status.token;
  const message = `Cannot get a token of ${account.namespace}/${account.name}: the answer has none`;
  throw new MeshError("no_token", "control", message);
}
