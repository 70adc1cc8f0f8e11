import { type DestinationRole, startDestination } from "./destination/main.ts";
import { startWorkloadSlices } from "./expansion/slices-main.ts";
import { type PolicyRole, startPolicy } from "./policy/main.ts";
import type { Wiring } from "./wiring.ts";

/** With the slices of machines, without which destination would not find them. */
export function startDestinationRole(wiring: Wiring): DestinationRole | undefined {
  const { settings, servers, parts, log } = wiring;
  const grpc = servers.get("destination");
  if (grpc === undefined) return undefined;
  const role = parts.use(
    startDestination({
      ...wiring,
      config: settings.destination,
      http2: settings.http2,
      queueCapacity: settings.streamQueueCapacity,
      grpc,
      log: log.child("destination"),
    }),
  );
  const { controlNamespace, holder } = settings;
  parts.use(startWorkloadSlices({ ...wiring, controlNamespace, holder, log: log.child("slices") }));
  return role;
}

export async function startPolicyRole(wiring: Wiring): Promise<PolicyRole | undefined> {
  const { settings, servers, parts, client, metrics, watchMetrics, clock, onBug, log } = wiring;
  const grpc = servers.get("policy");
  if (grpc === undefined) return undefined;
  const role = await startPolicy({
    kube: client,
    trustDomain: settings.trustDomain,
    identityDomain: settings.trustDomain,
    clusterDomain: settings.clusterDomain,
    clusterNetworks: settings.clusterNetworks,
    controlNamespace: settings.controlNamespace,
    defaultPolicy: settings.defaultPolicy,
    defaultOpaquePorts: settings.destination.defaultOpaquePorts,
    probeNetworks: settings.probeNetworks,
    globalEgressNamespace: settings.globalEgressNamespace,
    holder: settings.holder,
    grpc,
    metrics,
    watchMetrics,
    clock,
    onBug,
    log: log.child("policy"),
  });
  return parts.use(role);
}
