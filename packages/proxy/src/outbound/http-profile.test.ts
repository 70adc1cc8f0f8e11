import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { ask, type Handler, Http2Asker, type Reply, TestApp } from "../testing/apps.ts";
import type { ProfileInit } from "../testing/control.ts";
import { add, balanced, detect, weightedAddr } from "../testing/messages.ts";
import { newScene, type Scene } from "../testing/scene.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const NAME = "web.default.svc.cluster.local";
const WEB = `${NAME}:80`;
const TARGET = "10.9.0.3:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

interface RouteFacts {
  readonly path?: string;
  readonly isRetryable?: boolean;
  readonly timeoutMs?: number;
  readonly classes?: object[];
}

const budget = (facts: { ttl?: number; ratio?: number; min?: number } = {}) => ({
  retryRatio: facts.ratio ?? 0.1,
  minRetriesPerSecond: facts.min ?? 10,
  ttl: { seconds: BigInt(facts.ttl ?? 10), nanos: 0 },
});

function profile(
  routes: RouteFacts[],
  retryBudget: object | undefined = budget(),
  dstOverrides: { authority: string; weight: number }[] = [],
): ProfileInit {
  return {
    fullyQualifiedName: NAME,
    dstOverrides,
    ...(retryBudget === undefined ? {} : { retryBudget }),
    routes: routes.map(({ path = "/.*", isRetryable = false, timeoutMs, classes = [] }) => ({
      condition: { match: { case: "path", value: { regex: path } } },
      metricsLabels: { route: path },
      isRetryable,
      responseClasses: classes,
      ...(timeoutMs === undefined
        ? {}
        : { timeout: { seconds: 0n, nanos: timeoutMs * 1_000_000 } }),
    })),
  } as ProfileInit;
}

interface ProfileScene extends Scene {
  readonly profiles: Script<ProfileInit>;
}

async function stage(
  given: ProfileInit,
  handler: Handler,
  version?: "http2",
): Promise<ProfileScene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf });
  const app = await TestApp.start(version ?? "http1", handler);
  const profiles = Script.of(given);
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.profiles.set(TARGET, profiles);
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  return { ...newScene(world, app, port), profiles };
}

function inTurn(...replies: Reply[]): Handler {
  return () => (replies.length > 1 ? replies.shift()! : replies[0]!);
}

const fails = (): Handler => inTurn({ status: 533 }, { status: 200 });
const retryable = [{ isRetryable: true }];

test("[G01] a retryable route: 533, then 200", async () => {
  await using scene = await stage(profile(retryable), fails());
  const answer = await ask(scene.port);
  assert.equal(answer.status, 200);
  assert.equal(scene.app.asked[0]!.head.headers.get("l5d-dst-canonical"), WEB);
  const { world } = scene;
  assert.equal(world.metric("route_response_total", 'classification="success"'), 1);
  assert.equal(world.metric("route_actual_response_total", 'classification="failure"'), 1);
  assert.equal(world.metric("route_retryable_total", `dst="${WEB}"`), 1);
});

test("[G02] a budget of one retry: the second request is not tried again", async () => {
  const small = budget({ ttl: 1, ratio: 0.1, min: 1 });
  await using scene = await stage(profile(retryable, small), ({ head }) => ({
    status: head.path === "/first" && scene.app.asked.length > 1 ? 200 : 533,
  }));
  assert.equal((await ask(scene.port, { path: "/first" })).status, 200);
  assert.equal((await ask(scene.port, { path: "/second" })).status, 533);
  assert.equal(scene.world.metric("route_retryable_total", 'skipped="no_budget"'), 1);
});

test("[G03] [G04] [G05] bodies are sent again, declared or not", async () => {
  const chunked = { "transfer-encoding": "chunked" };
  for (const [method, headers] of [
    ["POST", {}],
    ["PUT", {}],
    ["POST", chunked],
  ] as const) {
    await using scene = await stage(profile(retryable), fails());
    const answer = await ask(scene.port, { method, body: "a body", headers });
    assert.equal(answer.status, 200);
    assert.deepEqual(
      scene.app.asked.map(({ body }) => body),
      ["a body", "a body"],
    );
  }
});

test("[G06] a request of another route is not tried again", async () => {
  const routes = [{ path: "/wont/.*", isRetryable: true }, { path: "/.*" }];
  await using scene = await stage(profile(routes), fails());
  assert.equal((await ask(scene.port, { path: "/other" })).status, 533);
});

test("[G07] a response class may say that 533 is a success", async () => {
  const classes = [
    {
      condition: { match: { case: "status", value: { min: 500, max: 599 } } },
      isFailure: false,
    },
  ];
  await using scene = await stage(profile([{ isRetryable: true, classes }]), fails());
  assert.equal((await ask(scene.port)).status, 533);
});

test("[G08] [G09] bodies above 64 KiB are not kept, and their answer is delivered", async () => {
  const body = "x".repeat(65_537);
  for (const headers of [{ "content-length": "65537" }, { "transfer-encoding": "chunked" }]) {
    await using scene = await stage(profile(retryable), fails());
    assert.equal((await ask(scene.port, { method: "POST", body, headers })).status, 533);
    assert.equal(scene.app.asked.length, 1);
  }
});

test("[G10] [G11] [G12] [G13] without a valid budget nothing is tried again", async () => {
  const bad = [undefined, budget({ ttl: 1_000 }), budget({ ratio: 10_000 }), budget({ ratio: -1 })];
  for (const given of bad) {
    const message = profile(retryable, budget());
    const { retryBudget: _, ...rest } = message as { retryBudget?: object };
    const profileInit = given === undefined ? rest : { ...rest, retryBudget: given };
    await using scene = await stage(profileInit as ProfileInit, fails());
    assert.equal((await ask(scene.port)).status, 533);
    assert.equal(scene.app.asked[0]!.head.headers.get("l5d-dst-canonical"), WEB);
  }
});

test("[G14] a route's timeout: 504, counted as a timeout", async () => {
  await using scene = await stage(profile([{ timeoutMs: 60 }]), () => new Promise<Reply>(() => {}));
  assert.equal((await ask(scene.port)).status, 504);
  const labels = ['classification="failure"', 'error="timeout"'];
  assert.equal(scene.world.metric("route_response_total", ...labels), 1);
});

test("[G15] failed answers with large bodies leave the connection's window as it was", async () => {
  let count = 0;
  const large = "x".repeat(100_000);
  await using scene = await stage(
    profile(retryable, budget({ ratio: 1, min: 1_000 })),
    () => {
      count++;
      return count % 2 === 1 ? { status: 533, body: large } : { body: "ok" };
    },
    "http2",
  );
  await using client = await Http2Asker.connect(scene.port);
  for (let i = 0; i < 30; i++) assert.equal((await client.ask()).body, "ok");
});

const grpc = { "content-type": "application/grpc" };

test("[G16] a gRPC failure in headers is tried again", async () => {
  await using scene = await stage(
    profile(retryable),
    inTurn(
      { headers: { ...grpc, "grpc-status": "14" } },
      { headers: { ...grpc, "grpc-status": "0" } },
    ),
    "http2",
  );
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask({ method: "POST", headers: grpc, body: "x" });
  assert.equal(answer.headers.get("grpc-status"), "0");
});

test("[G17] a gRPC failure in trailers is tried again", async () => {
  await using scene = await stage(
    profile(retryable),
    inTurn(
      { headers: grpc, trailers: { "grpc-status": "14" } },
      { headers: grpc, body: "y", trailers: { "grpc-status": "0" } },
    ),
    "http2",
  );
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask({ method: "POST", headers: grpc, body: "x" });
  assert.equal(answer.trailers?.get("grpc-status"), "0");
  assert.equal(scene.app.asked.length, 2);
});

test("[G18] [G19] a gRPC success keeps its body, whatever was looked at", async () => {
  const body = "y".repeat(40_000);
  await using scene = await stage(
    profile(retryable),
    () => ({ headers: grpc, body, trailers: { "grpc-status": "0" } }),
    "http2",
  );
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask({ method: "POST", headers: grpc, body: "x" });
  assert.equal(answer.body, body);
  assert.equal(answer.trailers?.get("grpc-status"), "0");
  assert.equal(scene.app.asked.length, 1);
});

test("[G20] [G21] [G22] [G23] [G24] traffic follows the profile's targets as they change", async () => {
  const leafOne = "one.default.svc.cluster.local:80";
  const leafTwo = "two.default.svc.cluster.local:80";
  await using one = await TestApp.start("http1", () => ({ body: "one" }));
  await using two = await TestApp.start("http1", () => ({ body: "two" }));
  await using scene = await stage(profile([]), () => ({ body: "apex" }));
  scene.world.control.endpoints.set(leafOne, Script.of(add(weightedAddr(one.authority))));
  scene.world.control.endpoints.set(leafTwo, Script.of(add(weightedAddr(two.authority))));
  const seen = async (): Promise<string> => (await ask(scene.port)).body;
  const split = (a: number, b: number): void => {
    const targets = [
      { authority: leafOne, weight: a },
      { authority: leafTwo, weight: b },
    ];
    scene.profiles.send(profile([], budget(), targets));
  };
  assert.equal(await seen(), "apex");
  split(1, 0);
  while ((await seen()) !== "one");
  for (let i = 0; i < 10; i++) assert.equal(await seen(), "one");
  split(1, 1);
  while ((await seen()) !== "two");
  const both = new Set<string>();
  while (both.size < 2) both.add(await seen());
  assert.deepEqual([...both].sort(), ["one", "two"]);
  split(0, 1);
  for (let run = 0; run < 20; ) run = (await seen()) === "two" ? run + 1 : 0;
  split(0, 0);
  while ((await seen()) !== "apex");
  split(1, 0);
  while ((await seen()) !== "one");
  scene.profiles.send(profile([]));
  while ((await seen()) !== "apex");
});
