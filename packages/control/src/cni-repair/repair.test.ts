import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { NAMESPACES, NEW_EVENTS, PODS, type Pod } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { runRepairController } from "./main.ts";
import { type RepairMetrics, repairMetrics } from "./metrics.ts";
import { isBroken, Repair } from "./repair.ts";

const NAMESPACE = "meshed";
const VALIDATOR = "linkerd-network-validator";

function failed(name: string, exitCode: number): NonNullable<Pod["status"]> {
  return { initContainerStatuses: [{ name, lastState: { terminated: { exitCode } } }] };
}

test("isBroken() is a pod whose validator ended with 95, and that is not going already", () => {
  const broken: Pod = { metadata: {}, status: failed(VALIDATOR, 95) };
  assert.equal(isBroken(broken), true);
  assert.equal(
    isBroken({ ...broken, metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }),
    false,
  );
  assert.equal(isBroken({ metadata: {}, status: failed(VALIDATOR, 1) }), false);
  assert.equal(isBroken({ metadata: {}, status: failed("app", 95) }), false);
  assert.equal(isBroken({ metadata: {} }), false);
  const fresh = { initContainerStatuses: [{ name: VALIDATOR, lastState: null }] };
  assert.equal(isBroken({ metadata: {}, status: fresh }), false);
});

/** A store with a namespace, and the controller that looks after the node `here`. */
class World implements AsyncDisposable {
  readonly log: string[] = [];
  readonly admin: PromiseWithResolvers<string> = Promise.withResolvers();
  readonly store: ApiStore;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(store: ApiStore) {
    this.store = store;
  }

  static async start(): Promise<World> {
    const store = await ApiStore.start();
    await store.client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
    return new World(store);
  }

  run(): void {
    this.#running = runRepairController({
      client: this.store.client,
      nodeName: "here",
      podName: "linkerd-cni-abcde",
      adminAt: { ip: "127.0.0.1", port: 0 },
      log: Log.root({ filter: "debug", uptimeMs: () => 0, write: (line) => this.log.push(line) }),
      signal: this.#stop.signal,
      onListening: ({ ip, port }) => this.admin.resolve(`http://${ip}:${port}`),
    });
  }

  /** A pod whose validator ended with this; it is meshed, unless it is said. */
  async pod(name: string, node: string, exitCode: number, isMeshed = true): Promise<void> {
    const { client } = this.store;
    const labels = isMeshed ? { "linkerd.io/control-plane-ns": "linkerd" } : {};
    const containers = [{ name: "app", image: "app:1" }];
    const initContainers = [{ name: VALIDATOR, image: "validator:1" }];
    const made = await client.create(PODS, {
      metadata: { name, namespace: NAMESPACE, labels },
      spec: { nodeName: node, containers, initContainers },
    });
    const [status] = failed(VALIDATOR, exitCode).initContainerStatuses!;
    const terminated = { ...status!.lastState!.terminated, reason: "Error" };
    const whole = {
      ...status!,
      lastState: { terminated },
      ready: false,
      restartCount: 1,
      image: "validator:1",
      imageID: "",
    };
    await client.update(
      PODS,
      { ...made, status: { ...made.status, initContainerStatuses: [whole] } },
      { subresource: "status" },
    );
  }

  async exists(name: string): Promise<boolean> {
    try {
      await this.store.client.get(PODS, { name, namespace: NAMESPACE });
      return true;
    } catch (error) {
      if (hasReason(error, "NotFound")) return false;
      throw error;
    }
  }

  /** The value of a metric, once it is there. */
  async metric(name: string): Promise<number> {
    const response = await fetch(`${await this.admin.promise}/metrics`);
    const text = await response.text();
    const line = text.split("\n").find((one) => one.startsWith(`${name} `));
    assert.ok(line !== undefined, text);
    return Number(line.split(" ")[1]);
  }

  /** A counter is read over HTTP, and nobody tells when it moves. */
  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!(await isSo())) {
      assert.ok(performance.now() < deadline, `waited 30 s for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.store[Symbol.asyncDispose]();
  }
}

test("the repair controller deletes broken pods of its node, and no others", async () => {
  await using world = await World.start();
  await world.pod("before", "here", 95);
  await world.pod("good", "here", 0);
  await world.pod("elsewhere", "there", 95);
  await world.pod("unmeshed", "here", 95, false);
  world.run();
  await world.pod("after", "here", 95);
  const done = "linkerd_cni_repair_controller_events_publish_latency_seconds_count";
  await world.until("two deletions", async () => (await world.metric(done)) === 2);
  for (const [name, isThere] of [
    ["before", false],
    ["after", false],
    ["good", true],
    ["elsewhere", true],
    ["unmeshed", true],
  ] as const) {
    assert.equal(await world.exists(name), isThere, name);
  }
  assert.equal(await world.metric("linkerd_cni_repair_controller_pods_deleted_total"), 2);
  assert.equal(await world.metric("linkerd_cni_repair_controller_pods_delete_errors_total"), 0);
  const { items } = await world.store.client.list(NEW_EVENTS, { namespace: NAMESPACE });
  const ours = items.filter(({ reason }) => reason === "LinkerdCNINotConfigured");
  assert.deepEqual(ours.map(({ regarding }) => regarding?.name).sort(), ["after", "before"]);
  const [{ action, type, note, reportingController, reportingInstance }] = ours as [
    (typeof ours)[0] & object,
  ];
  assert.deepEqual(
    { action, type, note, reportingController, reportingInstance },
    {
      action: "Deleting",
      type: "Normal",
      note: "Deleting pod to create a new one with proper CNI config",
      reportingController: "linkerd-cni-repair-controller",
      reportingInstance: "linkerd-cni-abcde",
    },
  );
  assert.equal((await fetch(`${await world.admin.promise}/ready`)).status, 200);
  assert.equal((await fetch(`${await world.admin.promise}/live`)).status, 200);
});

/** A repair whose API server is at this port. */
function repairAt(port: number, stop: AbortSignal): { repair: Repair; metrics: RepairMetrics } {
  const metrics = repairMetrics(new Registry());
  const server = new URL(`http://127.0.0.1:${port}`);
  const credentials = { current: async () => ({}), refused: () => {} };
  const repair = new Repair({
    client: new KubeClient({ cluster: { server, namespace: "default", tls: {}, credentials } }),
    podName: "linkerd-cni-abcde",
    metrics,
    log: Log.silent(),
    clock: systemClock,
    signal: stop,
    onSynced: () => {},
    onBug: (error) => assert.ifError(error),
  });
  return { repair, metrics };
}

function brokenPod(uid: string): Pod {
  return { metadata: { name: uid, namespace: NAMESPACE, uid }, status: failed(VALIDATOR, 95) };
}

/** Takes connections and says nothing. */
async function silentServer(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer((socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

test("Repair counts pods that cannot be deleted, and tells of none of them", async () => {
  const stop = new AbortController();
  const { repair, metrics } = repairAt(1, stop.signal);
  repair.onApplied(brokenPod("a"));
  repair.onApplied(brokenPod("b"));
  await repair.drained();
  assert.deepEqual([metrics.podsDeleteErrors.value, metrics.podsDeleted.value], [2, 0]);
  // It is heard of again when it fails again.
  repair.onApplied(brokenPod("a"));
  await repair.drained();
  assert.equal(metrics.podsDeleteErrors.value, 3);
});

test("Repair waits a second for an API server that does not answer", async () => {
  await using server = await silentServer();
  const stop = new AbortController();
  const { repair, metrics } = repairAt(server.port, stop.signal);
  repair.onApplied(brokenPod("a"));
  await repair.drained();
  assert.deepEqual([metrics.podsDeleteTimeouts.value, metrics.podsDeleteErrors.value], [1, 0]);
});

test("Repair lets go of what is too much, and ends when it is told to", async () => {
  await using server = await silentServer();
  const stop = new AbortController();
  const { repair, metrics } = repairAt(server.port, stop.signal);
  for (let i = 0; i < 40; i++) repair.onApplied(brokenPod(`pod-${i}`));
  // The same pod waits once.
  repair.onApplied(brokenPod("pod-0"));
  assert.equal(metrics.queueOverflow.value, 8);
  stop.abort();
  await repair.drained();
  assert.deepEqual([metrics.podsDeleteTimeouts.value, metrics.podsDeleteErrors.value], [0, 0]);
});
