import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { startListener } from "@heddle/net/listener";
import { TestCa } from "@heddle/testkit/ca";
import type { EndpointFacts } from "../discovery/endpoint.ts";
import { TransportFamilies } from "../tcp/transport-metrics.ts";
import { APP_IP, TestApp } from "../testing/apps.ts";
import { FakeTime } from "../testing/fake-time.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";
import { Http2EndpointClient } from "./http-client.ts";

/** Timers are late by up to one tick of their wheel, never early. */
const TICK_MS = 1;
const BACKOFF = { minMs: 100, maxMs: 1_000, jitter: 0 };

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** A client of one endpoint, by a clock that stands still. */
async function stage(port: number) {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf });
  const time = new FakeTime();
  const { runtime, config } = world;
  const facts: EndpointFacts = {
    ip: APP_IP,
    port,
    weight: 1,
    labels: {},
    zone: "unknown",
    tls: undefined,
    hint: "h2",
    opaqueTransportPort: undefined,
    authority: undefined,
    http2: undefined,
  };
  const transport = new TransportFamilies(runtime.metrics).bind({ peer: "dst" });
  const client = new Http2EndpointClient({
    facts,
    config: { ...config.outbound, connectBackoff: BACKOFF },
    runtime: { ...runtime, clock: time, timers: time.timers },
    changed: () => {},
    transport,
  });
  return {
    client,
    time,
    /** Attempts so far that failed, and connections so far. */
    failures: (): number => world.metric("heddle_tcp_connect_errors_total") ?? 0,
    opened: (): number => world.metric("tcp_open_total", 'peer="dst"') ?? 0,
    async [Symbol.asyncDispose]() {
      client.close();
      await world[Symbol.asyncDispose]();
    },
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextTurn();
}

/** Long enough for what is under way on loopback; nothing is waited for that should come. */
async function someTurns(): Promise<void> {
  for (let i = 0; i < 50; i++) await nextTurn();
}

test("[P54] attempts that fail wait longer and longer; once connected the wait is short again", async () => {
  const reserved = await TestApp.start("http2", () => ({}));
  const port = Number(reserved.authority.split(":")[1]);
  await reserved[Symbol.asyncDispose]();
  await using scene = await stage(port);
  let failures = 1;
  for (const waitMs of [100, 200, 400, 800, 1_000, 1_000]) {
    await until(() => scene.failures() === failures);
    scene.time.pass(waitMs - 1);
    await someTurns();
    assert.equal(scene.failures(), failures, `before ${waitMs} ms`);
    scene.time.pass(1 + TICK_MS);
    failures++;
  }
  await until(() => scene.failures() === failures);
  const app = await TestApp.start("http2", () => ({}), port);
  scene.time.pass(1_000 + TICK_MS);
  await until(() => scene.client.isReady);
  // It has lasted, so that its loss is no failure: tried at once, and then after the least wait.
  scene.time.pass(BACKOFF.minMs + TICK_MS);
  await app[Symbol.asyncDispose]();
  await until(() => scene.failures() === failures + 1);
  await using _again = await TestApp.start("http2", () => ({}), port);
  scene.time.pass(BACKOFF.minMs + TICK_MS);
  await until(() => scene.client.isReady);
});

test("[P54] an endpoint that closes each connection at once is tried again no sooner than one that refuses", async () => {
  const listener = await startListener({ at: { ip: APP_IP, port: 0 } }, (socket) => {
    socket.destroy();
  });
  await using scene = await stage(listener.address.port);
  let opened = 1;
  for (const waitMs of [100, 200, 400, 800, 1_000]) {
    await until(() => scene.opened() === opened && !scene.client.isReady);
    await someTurns();
    scene.time.pass(waitMs - 1);
    await someTurns();
    assert.equal(scene.opened(), opened, `before ${waitMs} ms`);
    scene.time.pass(1 + TICK_MS);
    opened++;
  }
  await until(() => scene.opened() === opened);
  await listener.close();
});
