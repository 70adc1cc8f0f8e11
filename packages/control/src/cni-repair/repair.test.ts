import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { hasReason } from "@heddle/kube/errors";
import { NAMESPACES, NEW_EVENTS, PODS, type Pod } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { runRepairController } from "./main.ts";
import { isBroken } from "./repair.ts";

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

  async until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
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
  await world.until(async () => (await world.metric(done)) === 2);
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
