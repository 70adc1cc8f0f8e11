import { setTimeout as sleep } from "node:timers/promises";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
} from "@heddle/kube/types/core";
import {
  authorizationPolicies,
  egressNetworks,
  httpLocalRateLimitPolicies,
  meshTlsAuthentications,
  networkAuthentications,
  serverAuthorizations,
  servers,
} from "./policy.ts";
import {
  gatewayGrpcRoutes,
  gatewayHttpRoutes,
  gatewayTcpRoutes,
  gatewayTlsRoutes,
  policyHttpRoutes,
} from "./routes.ts";
import { serviceProfiles } from "./service-profile.ts";
import { externalWorkloads } from "./workload.ts";

/** Linkerd's own kinds, as far as we use them. */
export function linkerdDefinitions(): CustomResourceDefinition[] {
  return [
    servers(),
    serverAuthorizations(),
    authorizationPolicies(),
    meshTlsAuthentications(),
    networkAuthentications(),
    policyHttpRoutes(),
    httpLocalRateLimitPolicies(),
    egressNetworks(),
    externalWorkloads(),
    serviceProfiles(),
  ];
}

/** Routes of the Gateway API. Where they are installed already they are somebody else's. */
export function gatewayDefinitions(): CustomResourceDefinition[] {
  return [gatewayHttpRoutes(), gatewayGrpcRoutes(), gatewayTlsRoutes(), gatewayTcpRoutes()];
}

const POLL_MS = 50;

/**
 * Installs what is missing, brings Linkerd's own up to date, and waits until all are served.
 *
 * @throws MeshError `crds_not_served` after `timeoutMs`.
 */
export async function installDefinitions(
  client: KubeClient,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { timeoutMs = 30_000, signal } = options;
  const own = linkerdDefinitions();
  const foreign = gatewayDefinitions();
  for (const definition of own) await putDefinition(client, definition, signal);
  for (const definition of foreign) await createDefinition(client, definition, signal);
  const deadline = performance.now() + timeoutMs;
  for (const { metadata } of [...own, ...foreign]) {
    while (!(await isEstablished(client, metadata.name!, signal))) {
      if (performance.now() > deadline) {
        const message = `Cannot use ${metadata.name}: not served after ${timeoutMs} ms`;
        throw new MeshError("crds_not_served", "control", message);
      }
      await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal });
    }
  }
}

async function createDefinition(
  client: KubeClient,
  definition: CustomResourceDefinition,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition, { signal });
    return true;
  } catch (error) {
    if (hasReason(error, "AlreadyExists")) return false;
    throw error;
  }
}

async function putDefinition(
  client: KubeClient,
  definition: CustomResourceDefinition,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await createDefinition(client, definition, signal)) return;
  const name = definition.metadata.name!;
  // Somebody else may write at the same time: what is there is read again then.
  for (let attempt = 0; ; attempt++) {
    const found = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name }, { signal });
    try {
      const metadata = { ...definition.metadata, ...revisionOf(found) };
      await client.update(CUSTOM_RESOURCE_DEFINITIONS, { ...definition, metadata }, { signal });
      return;
    } catch (error) {
      if (!hasReason(error, "Conflict") || attempt >= 5) throw error;
    }
  }
}

function revisionOf(found: CustomResourceDefinition): { resourceVersion?: string } {
  const { resourceVersion } = found.metadata;
  return resourceVersion === undefined ? {} : { resourceVersion };
}

async function isEstablished(
  client: KubeClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name }, { signal });
  const conditions = found.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === "Established" && status === "True");
}
