import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  EXTERNAL_WORKLOADS,
  type MatchedStatus,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { installDefinitions } from "../../crds/install.ts";
import { PolicyMesh } from "../test-mesh.ts";
import { StatusController } from "./controller.ts";
import { StatusIndex } from "./core.ts";

const GROUP = "policy.linkerd.io";
let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

/** The status, once its conditions are as wanted: `Type=Status/Reason`, … */
async function settled(
  of: Resource<KubeObject>,
  namespace: string,
  name: string,
  wanted: readonly string[],
): Promise<MatchedStatus> {
  return mesh.eventually(`${name} is ${wanted.join()}`, async () => {
    const found = await mesh.client.get(of as typeof SERVERS, { namespace, name });
    const words = (found.status?.conditions ?? []).map(
      ({ type, status, reason }) => `${type}=${status}/${reason}`,
    );
    return words.join() === wanted.join() ? found.status : undefined;
  });
}

const ACCEPTED = "Accepted=True/Accepted";
const MATCHED = "MatchesWorkloads=True/WorkloadsFound";
const UNMATCHED = "MatchesWorkloads=False/NoMatchingWorkload";
const ALONE = "Conflicted=False/NoConflict";

async function server(namespace: string, name: string, spec: object = {}): Promise<void> {
  await mesh.create(SERVERS, namespace, name, {
    spec: { podSelector: { matchLabels: { app: "pause" } }, port: 4191, ...spec },
  });
}

test("a Server's status follows its workloads and its rivals", async () => {
  const ns = await mesh.namespace();
  await server(ns, "a");
  await settled(SERVERS, ns, "a", [ACCEPTED, UNMATCHED, ALONE]);
  await mesh.pausePod(ns);
  const status = await settled(SERVERS, ns, "a", [ACCEPTED, MATCHED, ALONE]);
  assert.equal(status.matchedWorkloads, 1);
  assert.equal(status.conditions?.[0]?.observedGeneration, 1);
  await mesh.nextSecond();
  await server(ns, "b");
  await settled(SERVERS, ns, "b", [ACCEPTED, MATCHED, "Conflicted=True/OlderServer"]);
  await mesh.delete(SERVERS, ns, "a");
  await settled(SERVERS, ns, "b", [ACCEPTED, MATCHED, ALONE]);
});

test("an AuthorizationPolicy's status follows its target, authentications and workloads", async () => {
  const ns = await mesh.namespace();
  const targetRef = { group: GROUP, kind: "Server", name: "a" };
  const refs = [{ group: GROUP, kind: "NetworkAuthentication", name: "net" }];
  const spec = { targetRef, requiredAuthenticationRefs: refs };
  await mesh.create(AUTHORIZATION_POLICIES, ns, "p", { spec });
  const unresolved = "ResolvedRefs=False/AuthenticationNotFound";
  const missing = "Accepted=False/NoMatchingTarget";
  await settled(AUTHORIZATION_POLICIES, ns, "p", [missing, unresolved, UNMATCHED]);
  const externalWorkloadSelector = { matchLabels: { app: "vm" } };
  const port = { podSelector: undefined, externalWorkloadSelector };
  await server(ns, "a", port);
  await settled(AUTHORIZATION_POLICIES, ns, "p", [ACCEPTED, unresolved, UNMATCHED]);
  const meshTLS = { identity: "spiffe://td/vm", serverName: "vm" };
  const labels = { app: "vm" };
  await mesh.create(EXTERNAL_WORKLOADS, ns, "vm", { spec: { meshTLS } }, { labels });
  await settled(AUTHORIZATION_POLICIES, ns, "p", [ACCEPTED, unresolved, MATCHED]);
});

test("statuses that are right are not written again, whatever goes on", async () => {
  const ns = await mesh.namespace();
  await server(ns, "a");
  await mesh.pausePod(ns);
  await settled(SERVERS, ns, "a", [ACCEPTED, MATCHED, ALONE]);
  const version = async () =>
    (await mesh.client.get(SERVERS, { namespace: ns, name: "a" })).metadata.resourceVersion;
  const before = await version();
  // Machines and Servers that are none of its business, and the last of them with a status.
  await server(ns, "other", { port: 1 });
  await server(ns, "third", { podSelector: { matchLabels: { app: "nobody" } } });
  await settled(SERVERS, ns, "third", [ACCEPTED, UNMATCHED, ALONE]);
  await settled(SERVERS, ns, "other", [ACCEPTED, MATCHED, ALONE]);
  assert.equal(await version(), before);
});

test("with Linkerd's own definitions, which have no such statuses, none is written and nothing fails", async () => {
  await using parts = new AsyncDisposableStack();
  // Nobody else shall write statuses; on a shared API server the mesh's own controller would.
  await mesh[Symbol.asyncDispose]();
  const store = parts.use(await ApiStore.start());
  const { client } = store;
  await installDefinitions(client);
  parts.defer(() => installDefinitions(client));
  await withoutStatus(client, "servers.policy.linkerd.io");
  await client.create(NAMESPACES, { metadata: { name: "ns" } });
  const metadata = { name: "one", namespace: "ns" };
  const index = new StatusIndex([]);
  const spec = { podSelector: {}, port: 80 };
  index.setServer(await client.create(SERVERS, { metadata, spec }));
  index.setEgressNetwork(
    await client.create(EGRESS_NETWORKS, { metadata, spec: { trafficPolicy: "Allow" } }),
  );
  const metrics = new Registry();
  const stop = new AbortController();
  const log = Log.silent();
  const clock = systemClock;
  const controller = new StatusController({
    client,
    index,
    log,
    clock,
    metrics,
    sweepMs: 20,
    versionsOf: (of) => [of],
  });
  const leading = controller.lead(stop.signal);
  parts.defer(async () => {
    stop.abort();
    await leading;
  });
  const one = { namespace: "ns", name: "one" };
  await mesh.eventually("the network has its status", async () => {
    // What was written comes back to the index, as a watch would bring it.
    const network = await client.get(EGRESS_NETWORKS, one);
    index.setEgressNetwork(network);
    return network.status;
  });
  // It was looked at in the same sweep, after the network.
  assert.equal((await client.get(SERVERS, one)).status, undefined);
  assert.match(metrics.expose(), /^resource_status_patch_api_errors_total 0$/m);
  await installDefinitions(client);
  await mesh.eventually("the Server has its status", async () => {
    index.setServer(await client.get(SERVERS, one));
    return (await client.get(SERVERS, one)).status;
  });
});

/** As Linkerd defines it, once the server's discovery says so: a real one tells that later. */
async function withoutStatus(client: ApiStore["client"], name: string): Promise<void> {
  const found = await client.get(CUSTOM_RESOURCE_DEFINITIONS, { name });
  const versions = found.spec.versions.map((version) => ({ ...version, subresources: undefined }));
  const body = { spec: { versions } };
  await client.patch(CUSTOM_RESOURCE_DEFINITIONS, { name }, { type: "merge", body });
  const { group, names } = found.spec;
  const paths = found.spec.versions.map((version) => `/apis/${group}/${version.name}`);
  await mesh.eventually(`${name} has no status any more`, async () => {
    for (const path of paths) {
      const { resources } = await client.raw<{ resources: { name: string }[] }>("GET", path);
      if (resources.some((resource) => resource.name === `${names.plural}/status`))
        return undefined;
    }
    return true;
  });
}
