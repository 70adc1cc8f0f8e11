import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { Informer } from "@heddle/kube/informer";
import {
  ENDPOINT_SLICES,
  type EndpointSlice,
  LEASES,
  NAMESPACES,
  SERVICES,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import { ApiStore } from "@heddle/testkit/api-store";
import { installDefinitions } from "../crds/install.ts";
import { TestNamespace } from "../testing/objects.ts";
import { MANAGED_BY_LABEL, MANAGER } from "./slices.ts";
import { startWorkloadSlices } from "./slices-main.ts";

const LEASE = { name: "linkerd-destination-endpoint-write", namespace: "linkerd" };

function start(client: KubeClient, holder: string): AsyncDisposable {
  const metrics = new Registry();
  return startWorkloadSlices({
    client,
    controlNamespace: "linkerd",
    holder,
    log: Log.silent(),
    clock: systemClock,
    metrics,
    watchMetrics: new WatchMetricFamilies(metrics, systemClock),
    onBug: (error) => {
      throw error;
    },
    retryMs: 20,
  });
}

interface World extends AsyncDisposable {
  readonly client: KubeClient;
  readonly control: KubeClient;
  readonly ns: TestNamespace;
}

/** A store with our definitions and a namespace `shop`. */
async function newWorld(): Promise<World> {
  await using parts = new AsyncDisposableStack();
  const store = parts.use(await ApiStore.start());
  const control = parts.use(store.controlClient());
  const { client } = store;
  await installDefinitions(client);
  await client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  const ns = await TestNamespace.create(client, "shop");
  const all = parts.move();
  return { client, control, ns, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Waits until the slices of a namespace read as wanted. */
async function slicesBecome(
  client: KubeClient,
  namespace: string,
  wanted: readonly (readonly string[])[],
): Promise<void> {
  const seen = new Informer<EndpointSlice>({
    client,
    resource: ENDPOINT_SLICES,
    namespace,
    labelSelector: "endpointslice.kubernetes.io/managed-by=linkerd-external-workloads-controller",
  });
  const done = Promise.withResolvers<void>();
  const check = (): void => {
    const now = [...seen.store.values()]
      .map(({ endpoints }) =>
        (endpoints ?? []).map(
          ({ addresses, conditions }) => `${addresses[0]}${conditions?.ready === true ? "" : "!"}`,
        ),
      )
      .sort();
    if (seen.store.isSynced && JSON.stringify(now) === JSON.stringify(wanted)) done.resolve();
  };
  seen.store.subscribe(check);
  seen.start(done.reject);
  await seen.store.synced;
  check();
  await done.promise;
  await seen.close();
}

test("[DX12] slices follow machines and Services, and are handed over with the lease", async () => {
  await using world = await newWorld();
  const { client, control, ns } = world;
  const service = await ns.service("web", {
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: 8080 }],
  });
  const labels = { app: "web" };
  await ns.workload("a", { workloadIPs: [{ ip: "192.0.2.1" }] }, { labels });
  {
    await using _first = start(control, "first");
    await slicesBecome(client, "shop", [["192.0.2.1"]]);
    assert.equal((await client.get(LEASES, LEASE)).spec?.holderIdentity, "first");
    const b = await ns.workload(
      "b",
      { workloadIPs: [{ ip: "192.0.2.2" }] },
      { labels, isReady: false },
    );
    await slicesBecome(client, "shop", [["192.0.2.1", "192.0.2.2!"]]);
    const status = { conditions: [{ type: "Ready", status: "True" }] } as const;
    await client.update(EXTERNAL_WORKLOADS, { ...b, status }, { subresource: "status" });
    await slicesBecome(client, "shop", [["192.0.2.1", "192.0.2.2"]]);
  }
  assert.equal((await client.get(LEASES, LEASE)).spec?.holderIdentity, "");
  await client.delete(EXTERNAL_WORKLOADS, { name: "a", namespace: "shop" });
  await using _second = start(control, "second");
  await slicesBecome(client, "shop", [["192.0.2.2"]]);
  const current = await client.get(SERVICES, { name: "web", namespace: "shop" });
  await client.update(SERVICES, { ...current, spec: { ...service.spec!, selector: { app: "x" } } });
  await slicesBecome(client, "shop", []);
});

test("[DX03] a Service that is being deleted gets no slices", async () => {
  await using world = await newWorld();
  const { client, control, ns } = world;
  const spec = {
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: 8080 }],
  };
  await ns.service("dying", spec, { finalizers: ["test.heddle.dev/held"] });
  await client.delete(SERVICES, { name: "dying", namespace: "shop" });
  const held = await client.get(SERVICES, { name: "dying", namespace: "shop" });
  assert.notEqual(held.metadata.deletionTimestamp, undefined);
  await using _ = start(control, "only");
  await ns.service("living", spec);
  await ns.workload("a", { workloadIPs: [{ ip: "192.0.2.1" }] }, { labels: { app: "web" } });
  // Both select the machine; only one has slices.
  await slicesBecome(client, "shop", [["192.0.2.1"]]);
  const { items } = await client.list(ENDPOINT_SLICES, { namespace: "shop" });
  const services = items
    .filter(({ metadata }) => metadata.labels?.[MANAGED_BY_LABEL] === MANAGER)
    .map(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"]);
  assert.deepEqual(services, ["living"]);
});
