/** Two replicas of the control plane, and a proxy that goes on whichever of them is there. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { keyDer, newCsr, newKey } from "@heddle/agent/csr";
import { systemClock } from "@heddle/base/clock";
import { Env } from "@heddle/base/env";
import { Log } from "@heddle/base/log";
import { startControl } from "@heddle/control/main";
import { ControlHost, controlSettings } from "@heddle/control/testing/control-host";
import { TestNamespace } from "@heddle/control/testing/objects";
import { ENDPOINT_SLICES, LEASES, type Service } from "@heddle/kube/types/core";
import { loadProxy } from "@heddle/proxy/config";
import { type Outbound, startOutbound } from "@heddle/proxy/outbound/outbound";
import { type RunningRuntime, startRuntime } from "@heddle/proxy/start-runtime";
import { ask, TestApp } from "@heddle/proxy/testing/apps";
import { ApiStore } from "@heddle/testkit/api-store";
import { Relay } from "@heddle/testkit/relay";
import { eventually } from "./mesh.ts";

const NEVER = new AbortController().signal;
const WEB = "web.shop.serviceaccount.identity.linkerd.cluster.local";
/** What only one replica does at a time. */
const LEASE_NAMES = ["policy-controller-write", "linkerd-destination-endpoint-write"];

/** A whole proxy in this process, whose control plane is at `port` of this machine. */
async function startProxy(store: ApiStore, anchors: string, port: number) {
  const folder = mkdtempSync(join(tmpdir(), "heddle-replicas-"));
  const key = newKey();
  writeFileSync(join(folder, "csr.der"), await newCsr(key, { type: "dns", value: WEB }));
  writeFileSync(join(folder, "key.p8"), keyDer(key));
  const token = await store.issueToken("shop", "web", { audiences: ["identity.l5d.io"] });
  writeFileSync(join(folder, "token"), token);
  const prefix = "LINKERD2_PROXY_";
  const variables: Record<string, string> = {
    HEDDLE_LOOPBACK_MESH: "127.77.0.0/16",
    [`${prefix}DESTINATION_SVC_ADDR`]: `127.0.0.1:${port}`,
    [`${prefix}POLICY_SVC_ADDR`]: `127.0.0.1:${port}`,
    [`${prefix}IDENTITY_SVC_ADDR`]: `127.0.0.1:${port}`,
    [`${prefix}POLICY_WORKLOAD`]: '{"ns":"shop","pod":"web-1"}',
    [`${prefix}DESTINATION_CONTEXT`]: '{"ns":"shop","nodeName":"node-a","pod":"web-1"}',
    [`${prefix}IDENTITY_DIR`]: folder,
    [`${prefix}IDENTITY_TOKEN_FILE`]: join(folder, "token"),
    [`${prefix}IDENTITY_TRUST_ANCHORS`]: anchors,
    [`${prefix}IDENTITY_LOCAL_NAME`]: WEB,
    [`${prefix}OUTBOUND_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}INBOUND_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}ADMIN_LISTEN_ADDR`]: "127.0.0.1:0",
    [`${prefix}DESTINATION_PROFILE_NETWORKS`]: "10.0.0.0/8,127.0.0.0/8",
  };
  const env = new Env((name) => variables[name]);
  const config = loadProxy(env);
  env.check();
  const runtime: RunningRuntime = startRuntime(config, Log.silent());
  await runtime.identity.ready;
  const sides: Outbound[] = [];
  return {
    /** @returns the port where a connection to the Service goes through the proxy. */
    async to(service: Service): Promise<number> {
      const originalDestination = { ip: service.spec!.clusterIP!, port: 80 };
      const side = await startOutbound(config.outbound, runtime, {
        destination: { kind: "declared", originalDestination },
      });
      sides.push(side);
      return side.listeners[0]!.address.port;
    },
    async [Symbol.asyncDispose]() {
      for (const side of sides) await side.close(0);
      await runtime[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Asks without end. */
class Load {
  readonly statuses: Record<number, number> = {};
  readonly bodies: Set<string> = new Set();
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(port: number) {
    this.#running = this.#run(port);
  }

  async #run(port: number): Promise<void> {
    while (!this.#isStopped) {
      const { status, body } = await ask(port);
      this.statuses[status] = (this.statuses[status] ?? 0) + 1;
      this.bodies.add(body);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }
}

test("one replica writes and hands over when it stops; its proxies lose nothing, nor when it crashes", async () => {
  const store = await ApiStore.start();
  await using first = await ControlHost.start(store, { env: { HOSTNAME: "first" } });
  const { kube } = first;
  const holders = (): Promise<(string | undefined)[]> =>
    Promise.all(
      LEASE_NAMES.map(async (name) => {
        const lease = await kube.find(LEASES, { namespace: "linkerd", name });
        return lease?.spec?.holderIdentity;
      }),
    );
  const heldBy = (who: string): Promise<void> =>
    eventually(`${who} to hold the leases`, NEVER, async () =>
      assert.deepEqual(await holders(), [who, who]),
    );
  await heldBy("first");

  const ns = await TestNamespace.create(kube, "shop");
  await using one = await TestApp.start("http1", () => ({ body: "one" }));
  await using two = await TestApp.start("http1", () => ({ body: "two" }));
  const portOf = ({ authority }: TestApp): number => Number(authority.split(":")[1]);
  const ports = [{ name: "http", port: 80 }];
  const slice = (app: TestApp): object => ({
    ports: [{ name: "http", port: portOf(app), protocol: "TCP" }],
  });
  const endpoints = [{ addresses: ["127.77.0.10"], conditions: { ready: true } }];
  const service = await ns.service("web", { ports });
  await ns.slice("web", "web-a", endpoints, slice(one));

  const relay = await Relay.start(first.address("destination").port);
  await using parts = new AsyncDisposableStack();
  parts.defer(() => relay.close());
  const proxy = parts.use(await startProxy(store, first.trust.anchorsPem, relay.port));
  const load = new Load(await proxy.to(service));
  await eventually("answers", NEVER, async () => assert.ok((load.statuses[200] ?? 0) > 20));

  const second = parts.use(
    await startControl({
      settings: controlSettings({ HOSTNAME: "second" }),
      client: parts.use(store.controlClient()),
      log: Log.silent(),
      clock: systemClock,
    }),
  );
  await second.ready;
  assert.deepEqual(await holders(), ["first", "first"]);

  // A rollout: the new one is there, the old one goes.
  relay.retarget(second.addresses.destination!.port);
  await first.control[Symbol.asyncDispose]();
  await heldBy("second");
  const other = await ns.service("other", { ports });
  await ns.slice("other", "other-a", endpoints, slice(two));
  const late = await ask(await proxy.to(other));
  assert.deepEqual([late.status, late.body], [200, "two"]);

  // What it knew from the first replica it hears more of from the second.
  await kube.patch(
    ENDPOINT_SLICES,
    { namespace: "shop", name: "web-a" },
    { type: "merge", body: slice(two) },
  );
  await eventually("the new endpoint", NEVER, async () => assert.ok(load.bodies.has("two")));

  // A crash: all connections break without a word, and for a while nobody is there.
  await relay.close();
  const before = load.statuses[200] ?? 0;
  await eventually("more answers", NEVER, async () =>
    assert.ok((load.statuses[200] ?? 0) > before + 20),
  );
  load.bodies.clear();
  await kube.patch(
    ENDPOINT_SLICES,
    { namespace: "shop", name: "web-a" },
    { type: "merge", body: slice(one) },
  );
  await relay.open();
  await eventually("the endpoint of before", NEVER, async () => assert.ok(load.bodies.has("one")));
  await load.stop();
  assert.deepEqual(Object.keys(load.statuses), ["200"]);
});
