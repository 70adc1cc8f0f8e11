import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { Registry } from "@heddle/base/metrics";
import { FakeTime } from "../testing/fake-time.ts";
import { Balancer, type Discovered, type PoolEndpoint } from "./balancer.ts";
import { FirstAvailable, RandomAvailable } from "./distribution.ts";
import { type LoadEstimator, PeakEwma } from "./load.ts";
import { BalancerMetrics } from "./metrics.ts";
import { pickOfTwo } from "./p2c.ts";
import { Waiter } from "./queue.ts";

class Address implements Discovered {
  readonly key: string;
  readonly version: number;

  constructor(key: string, version = 0) {
    this.key = key;
    this.version = version;
  }

  equals(other: Address): boolean {
    return this.version === other.version;
  }
}

class FakeEndpoint implements PoolEndpoint {
  readonly load: LoadEstimator = new PeakEwma(30, 10_000, 0);
  readonly key: string;
  isReady: boolean;
  isClosed = false;
  readonly #changed: (endpoint: FakeEndpoint) => void;

  constructor(key: string, isReady: boolean, changed: (endpoint: FakeEndpoint) => void) {
    this.key = key;
    this.isReady = isReady;
    this.#changed = changed;
  }

  turn(isReady: boolean): void {
    this.isReady = isReady;
    this.#changed(this);
  }

  close(): void {
    this.isClosed = true;
  }
}

class FakeWaiter extends Waiter<FakeEndpoint> {
  endpoint: FakeEndpoint | undefined;
  error: MeshError | undefined;
  readonly order: FakeWaiter[];

  constructor(order: FakeWaiter[] = []) {
    super();
    this.order = order;
  }

  dispatch(endpoint: FakeEndpoint): void {
    this.endpoint = endpoint;
    this.order.push(this);
  }

  fail(error: MeshError): void {
    this.error = error;
  }
}

class World {
  readonly time = new FakeTime();
  readonly registry = new Registry();
  readonly made: FakeEndpoint[] = [];
  readyAtOnce = true;
  readonly balancer: Balancer<Address, FakeEndpoint>;

  constructor(queueCapacity = 100) {
    this.balancer = new Balancer<Address, FakeEndpoint>({
      name: "web",
      make: (address, changed) => {
        const endpoint = new FakeEndpoint(address.key, this.readyAtOnce, changed);
        this.made.push(endpoint);
        return endpoint;
      },
      clock: this.time,
      timers: this.time.timers,
      random: Math.random,
      metrics: new BalancerMetrics(this.registry, "outbound_http_balancer", {}),
      queueCapacity,
      failFastMs: 1_000,
    });
  }

  reset(...keys: string[]): void {
    this.balancer.update({ kind: "reset", endpoints: keys.map((key) => new Address(key)) });
  }

  submit(): FakeWaiter {
    const waiter = new FakeWaiter();
    this.balancer.submit(waiter);
    return waiter;
  }

  metric(name: string): string | undefined {
    const line = this.registry
      .expose()
      .split("\n")
      .find((l) => l.startsWith(name));
    return line?.split(" ").at(-1);
  }
}

test("[P20] pickOfTwo() always draws two different ones and takes the lower load", () => {
  const endpoints = [0, 1, 2].map((n) => new FakeEndpoint(String(n), true, () => {}));
  const compared = new Set<string>();
  for (const endpoint of endpoints) {
    Object.assign(endpoint.load, {
      load: () => {
        compared.add(endpoint.key);
        return Number(endpoint.key);
      },
    });
  }
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 2; j++) {
      const draws = [i / 3 + 0.01, j / 2 + 0.01];
      compared.clear();
      const picked = pickOfTwo(endpoints, 0, () => draws.shift()!);
      assert.equal(compared.size, 2);
      assert.equal(picked!.key, [...compared].sort()[0]);
    }
  }
  assert.equal(
    pickOfTwo([], 0, () => 0),
    undefined,
  );
});

test("[P21] updates that change nothing count for nothing and keep the endpoints", () => {
  const world = new World();
  world.reset("a");
  world.reset("a"); // no change
  world.balancer.update({ kind: "add", endpoints: [new Address("a")] }); // no change
  assert.equal(world.made.length, 1);
  world.balancer.update({ kind: "add", endpoints: [new Address("a", 1)] }); // new data
  assert.equal(world.made.length, 2);
  assert.equal(world.made[0]!.isClosed, true);
  world.balancer.update({ kind: "remove", keys: ["x"] }); // unknown
  world.balancer.update({ kind: "add", endpoints: [new Address("b")] });
  world.reset("b", "c");
  assert.deepEqual(
    world.made.map((e) => `${e.key} ${e.isClosed}`),
    ["a true", "a true", "b false", "c false"],
  );
  assert.equal(world.metric("outbound_http_balancer_p2c_endpoints"), "2");
  world.balancer.update({ kind: "remove", keys: ["b"] });
  assert.equal(world.metric('outbound_http_balancer_p2c_updates_total{op="Reset"}'), "2");
  assert.equal(world.metric('outbound_http_balancer_p2c_updates_total{op="Add"}'), "2");
  assert.equal(world.metric('outbound_http_balancer_p2c_updates_total{op="Remove"}'), "1");
  world.balancer.close();
  assert.equal(world.metric("outbound_http_balancer_p2c_endpoints{"), undefined);
});

test("[P22] [P25] who waits is served in order when an endpoint becomes ready", () => {
  const world = new World();
  world.readyAtOnce = false;
  world.reset("a");
  const order: FakeWaiter[] = [];
  const waiters = [new FakeWaiter(order), new FakeWaiter(order), new FakeWaiter(order)];
  for (const waiter of waiters) world.balancer.submit(waiter);
  waiters[1]!.cancel();
  world.made[0]!.turn(true);
  assert.deepEqual(order, [waiters[0], waiters[2]]);
});

test("[P26] the queue is bounded: one more than its capacity waits, the next is shed", () => {
  const world = new World(2);
  const waiting = [world.submit(), world.submit(), world.submit()];
  assert.equal(world.submit().error?.code, "load_shed");
  assert.ok(waiting.every((w) => w.isQueued));
});

test("[P27] [P28] updates are applied while requests wait and while none does", () => {
  const world = new World();
  const waiter = world.submit();
  world.reset("a");
  assert.equal(waiter.endpoint?.key, "a");
  world.reset("b");
  assert.equal(world.submit().endpoint?.key, "b");
});

test("[P29] a discovery that failed for good fails who waits and who comes", () => {
  const world = new World();
  const waiter = world.submit();
  const error = { code: "discovery" } as MeshError;
  world.balancer.update({ kind: "failed", error });
  assert.equal(waiter.error, error);
  assert.equal(world.submit().error, error);
});

test("[P32] [P34] [P50] fail-fast: who waits fails, the gate shuts, and opens when one is ready", () => {
  const world = new World();
  world.readyAtOnce = false;
  world.reset("a");
  const waiter = world.submit();
  world.time.pass(990);
  assert.ok(waiter.isQueued);
  world.time.pass(20);
  assert.equal(waiter.error?.code, "fail_fast");
  assert.equal(world.balancer.isReady, false);
  assert.equal(world.submit().error?.code, "fail_fast");
  assert.equal(world.metric("outbound_http_balancer_queue_gate_shut_total"), "1");
  world.made[0]!.turn(true);
  assert.equal(world.balancer.isReady, true);
  assert.equal(world.submit().endpoint?.key, "a");
  assert.equal(world.metric("outbound_http_balancer_queue_gate_open_total"), "1");
});

test("[P33] becoming ready at half the timeout avoids fail-fast", () => {
  const world = new World();
  world.readyAtOnce = false;
  world.reset("a");
  const waiter = world.submit();
  world.time.pass(500);
  world.made[0]!.turn(true);
  assert.equal(waiter.endpoint?.key, "a");
  world.made[0]!.turn(false);
  world.submit();
  world.time.pass(600);
  assert.equal(world.balancer.isReady, true);
});

test("[P31] close() fails who waits and closes the endpoints", () => {
  const world = new World();
  world.readyAtOnce = false;
  world.reset("a");
  const waiter = world.submit();
  world.balancer.close();
  assert.equal(waiter.error?.code, "closed");
  assert.equal(world.made[0]!.isClosed, true);
  world.reset("b");
  assert.equal(world.made.length, 1);
});

test("the ready set follows endpoints that come and go in any order", () => {
  const world = new World();
  world.reset("a", "b", "c", "d");
  for (const index of [0, 2, 1]) world.made[index]!.turn(false);
  for (let i = 0; i < 10; i++) assert.equal(world.submit().endpoint?.key, "d");
  world.made[1]!.turn(true);
  world.balancer.update({ kind: "remove", keys: ["d", "a"] });
  for (let i = 0; i < 10; i++) assert.equal(world.submit().endpoint?.key, "b");
});

test("[P45] an empty distribution is never ready", () => {
  assert.equal(new FirstAvailable([]).pick(), undefined);
  assert.equal(new RandomAvailable([], [], Math.random).pick(), undefined);
});

test("[P46] first available takes the first ready one, duplicates or not", () => {
  const [a, b] = [{ isReady: true }, { isReady: true }];
  const distribution = new FirstAvailable([a!, a!, b!]);
  assert.equal(distribution.pick(), a);
  a!.isReady = false;
  assert.equal(distribution.pick(), b);
  b!.isReady = false;
  assert.equal(distribution.pick(), undefined);
  a!.isReady = true;
  assert.equal(distribution.pick(), a);
});

test("[P47] random available follows the weights of those that are ready", () => {
  const [a, b, c] = [{ isReady: true }, { isReady: true }, { isReady: true }];
  let draw = 0;
  const distribution = new RandomAvailable([a!, b!, c!, a!], [1, 0, 2, 1], () => draw);
  const drawn = [0, 0.24, 0.26, 0.74, 0.76].map((value) => {
    draw = value;
    return distribution.pick();
  });
  assert.deepEqual(drawn, [a, a, c, c, a]);
  a!.isReady = false;
  draw = 0;
  assert.equal(distribution.pick(), c);
  c!.isReady = false;
  assert.equal(distribution.pick(), undefined);
});
