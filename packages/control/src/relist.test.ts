/** What only a list shows counts, and what a list repeats does not. */
import assert from "node:assert/strict";
import { cp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Destination } from "@heddle/api/gen/destination_pb";
import { InboundServerPolicies } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { statusError } from "@heddle/kube/errors";
import { ENDPOINT_SLICES, NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import { SERVERS } from "@heddle/kube/types/linkerd";
import { ApiStore, KUBERNETES_FOLDER } from "@heddle/testkit/api-store";
import { ControlHost } from "./testing/control-host.ts";
import { TestNamespace } from "./testing/objects.ts";
import { getEndpoints, nextWords, TestStream } from "./testing/streams.ts";

/** The watches of a client, which a test can break and hold off while things change. */
class Watches {
  readonly #open = new Set<IncomingMessage>();
  #held: PromiseWithResolvers<void> | undefined;
  #arrived = 0;
  /** Of `hold`: to be answered with 410 when they may go on. */
  #expires = false;

  constructor(client: KubeClient) {
    const open: KubeClient["openWatch"] = client.openWatch.bind(client);
    client.openWatch = async (of, options): Promise<IncomingMessage> => {
      if (this.#held !== undefined) {
        this.#arrived++;
        await this.#held.promise;
        if (this.#expires) throw statusError(`watch ${of.plural}`, 410, "");
      }
      const response = await open(of, options);
      this.#open.add(response);
      response.once("close", () => this.#open.delete(response));
      return response;
    };
  }

  /** Breaks all; resolves when each has come back and waits. */
  async hold(): Promise<void> {
    const count = this.#open.size;
    this.#held = Promise.withResolvers();
    this.#arrived = 0;
    for (const response of this.#open) response.destroy();
    while (this.#arrived < count) await nextTurn();
  }

  /** @param isExpired - Whether the server has forgotten where they were. */
  release(isExpired: boolean): void {
    this.#expires = isExpired;
    this.#held?.resolve();
    this.#held = undefined;
  }
}

interface Scene extends AsyncDisposable {
  readonly store: ApiStore;
  readonly host: ControlHost;
  readonly watches: Watches;
}

async function stage(): Promise<Scene> {
  const store = await ApiStore.start();
  let watches: Watches | undefined;
  const host = await ControlHost.start({
    client: store.client,
    controlClient: () => {
      const client = store.controlClient();
      watches = new Watches(client);
      return client;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  });
  return {
    store,
    host,
    watches: watches!,
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

test("[DW13] a deletion that only a list shows removes what was there, and nothing else", async () => {
  await using scene = await stage();
  const { kube } = scene.host;
  const client = await scene.host.client("destination");
  const ns = await TestNamespace.create(kube, "shop");
  for (const name of ["gone", "stays"]) {
    const ip = name === "gone" ? "10.1.0.1" : "10.1.0.2";
    await ns.pod({ name, ips: [ip] });
    await ns.service(name, { ports: [{ name: "http", port: 80 }] });
    await ns.slice(name, name, [ns.target("Pod", name, ip)]);
  }
  await using gone = getEndpoints({ client, path: "gone.shop.svc.cluster.local:80" });
  await using stays = getEndpoints({ client, path: "stays.shop.svc.cluster.local:80" });
  assert.deepEqual(await nextWords(gone), ["+10.1.0.1:8080"]);
  assert.deepEqual(await nextWords(stays), ["+10.1.0.2:8080"]);

  await scene.watches.hold();
  await kube.delete(ENDPOINT_SLICES, { namespace: "shop", name: "gone" });
  scene.watches.release(true);
  assert.deepEqual(await nextWords(gone), ["-10.1.0.1:8080"]);
  await kube.delete(ENDPOINT_SLICES, { namespace: "shop", name: "stays" });
  assert.deepEqual(await nextWords(stays), ["-10.1.0.2:8080"]);
});

/** One stream of each kind on one Service and one pod, each of which has had its first message. */
async function watchAll(scene: Scene) {
  const { host } = scene;
  const ns = await TestNamespace.create(host.kube, "shop");
  await ns.pod({ name: "a", ips: ["10.1.0.1"], ports: [{ containerPort: 8080 }] });
  await ns.pod({ name: "b", ips: ["10.1.0.2"] });
  const service = await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const slice = await ns.slice("web", "web-a", [ns.target("Pod", "a", "10.1.0.1")]);
  const destination = await host.client("destination");
  const policy = await host.client("policy");
  const path = "web.shop.svc.cluster.local:80";
  const endpoints = getEndpoints({ client: destination, path });
  const profile = new TestStream(destination.serverStream(Destination.method.getProfile, { path }));
  const outbound = new TestStream(
    policy.serverStream(OutboundPolicies.method.watch, {
      sourceWorkload: JSON.stringify({ ns: "shop", pod: "a" }),
      target: { case: "authority", value: path },
    }),
  );
  const inbound = new TestStream(
    policy.serverStream(InboundServerPolicies.method.watchPort, {
      workload: JSON.stringify({ ns: "shop", pod: "a" }),
      port: 8080,
    }),
  );
  assert.deepEqual(await nextWords(endpoints), ["+10.1.0.1:8080"]);
  assert.equal((await profile.next())?.opaqueProtocol, false);
  assert.equal((await outbound.next())?.protocol?.kind.case, "detect");
  assert.equal((await inbound.next())?.labels["kind"], "default");
  return {
    ns,
    /** Changes something for each of them: the next message of each is about that. */
    async change(): Promise<void> {
      await host.kube.update(ENDPOINT_SLICES, {
        ...slice,
        endpoints: [ns.target("Pod", "a", "10.1.0.1"), ns.target("Pod", "b", "10.1.0.2")],
      });
      assert.deepEqual(await nextWords(endpoints), ["+10.1.0.2:8080"]);
      const annotations = { "config.linkerd.io/opaque-ports": "80" };
      const { metadata } = service;
      await host.kube.update(SERVICES, { ...service, metadata: { ...metadata, annotations } });
      assert.equal((await profile.next())?.opaqueProtocol, true);
      assert.equal((await outbound.next())?.protocol?.kind.case, "opaque");
      await host.kube.create(SERVERS, {
        metadata: { namespace: "shop", name: "own" },
        spec: { podSelector: {}, port: 8080, proxyProtocol: "HTTP/1" },
      });
      assert.equal((await inbound.next())?.labels["name"], "own");
    },
    endpoints,
    async [Symbol.asyncDispose]() {
      for (const stream of [endpoints, profile, outbound, inbound]) {
        await stream[Symbol.asyncDispose]();
      }
    },
  };
}

for (const [what, happen] of [
  ["broken watches", hold(false)],
  ["broken watches whose place the server has forgotten", hold(true)],
  [
    "an API server that is started again",
    async ({ store }: Scene) => {
      await store.stop();
      await restart(store);
    },
  ],
] as const) {
  test(`no stream says anything because of ${what}`, async () => {
    await using scene = await stage();
    await using all = await watchAll(scene);
    for (let i = 0; i < 3; i++) await happen(scene);
    await all.change();
  });
}

function hold(isExpired: boolean): (scene: Scene) => Promise<void> {
  return async ({ watches }) => {
    await watches.hold();
    watches.release(isExpired);
  };
}

/** Also waits until the test's own client has noticed. */
async function restart(store: ApiStore): Promise<void> {
  await store.restart();
  for (;;) {
    try {
      await store.client.list(NAMESPACES);
      return;
    } catch (error) {
      if (!(error instanceof MeshError && error.retryable)) throw error;
    }
  }
}

// The data of another API server are not the test's to replace.
const testOfOurs = (process.env[KUBERNETES_FOLDER] ?? "") === "" ? test : () => {};

testOfOurs(
  "after a restored backup streams say what is so then, and only what has changed",
  async () => {
    await using scene = await stage();
    const { store } = scene;
    await using all = await watchAll(scene);
    const backup = `${store.folder}.backup`;
    await store.stop();
    await cp(store.folder, backup, { recursive: true });
    await restart(store);
    await all.change();
    await store.stop();
    await rm(store.folder, { recursive: true });
    await cp(backup, store.folder, { recursive: true });
    await rm(backup, { recursive: true });
    await restart(store);
    assert.deepEqual(await nextWords(all.endpoints), ["-10.1.0.2:8080"]);
  },
);
