import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { ask, type Handler, Http2Asker, type Reply, TestApp } from "../testing/apps.ts";
import {
  add,
  balanced,
  consecutiveFailures,
  detect,
  first,
  httpRetry,
  named,
  rule,
  rules,
  service,
  weightedAddr,
} from "../testing/messages.ts";
import { newScene, type Scene } from "../testing/scene.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const SPECIAL = "special.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

const web = balanced(WEB);
const special = balanced(SPECIAL, service("special", 80));

/** A world with this policy, whose web service is one application. */
async function stage(
  policy: ReturnType<typeof rules>,
  handler: Handler,
  options: { version?: "http1" | "http2"; env?: Record<string, string> } = {},
): Promise<Scene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const env = options.env ?? {};
  const world = await TestWorld.start({ anchors: ca.pem, leaf, env });
  const app = await TestApp.start(options.version ?? "http1", handler);
  world.control.policies.set(TARGET, Script.of(policy));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  return newScene(world, app, port);
}

/** Answers one after the other; the last one for ever. */
function inTurn(...replies: Reply[]): Handler {
  return () => (replies.length > 1 ? replies.shift()! : replies[0]!);
}

const pathIs = (value: string) => ({ path: { kind: { case: "exact", value } } });

test("[C03] a route without rules: 404 that names the target", async () => {
  await using scene = await stage(rules(), () => ({}));
  const answer = await ask(scene.port, { headers: { connection: "keep-alive" } });
  assert.equal(answer.status, 404);
  assert.match(answer.headers.get("l5d-proxy-error")!, /logical service 10\.9\.0\.3:80: no route/);
  assert.equal(answer.headers.get("content-length"), "0");
  assert.notEqual(answer.headers.get("connection"), "close");
});

test("[C04] HTTP/2 without rules: 404, whatever HTTP/1 has", async () => {
  const http1 = [{ metadata: named("HTTPRoute", "a"), hosts: [], rules: [rule(web)] }];
  await using scene = await stage(detect(web, { http1, http2: [] }), () => ({}));
  assert.equal((await ask(scene.port)).status, 200);
  await using client = await Http2Asker.connect(scene.port);
  assert.equal((await client.ask()).status, 404);
});

test("[C05] [C06] [M15] [M16] rules by header and path, and counters of their backends", async () => {
  await using other = await TestApp.start("http1", () => ({ body: "special" }));
  const matches = [
    { headers: [{ name: "x-city", value: { case: "regex", value: "sf|san francisco" } }] },
    { path: { kind: { case: "prefix", value: "/special" } } },
  ];
  await using scene = await stage(rules(rule(web), rule(special, { matches })), () => ({
    body: "web",
  }));
  scene.world.control.endpoints.set(SPECIAL, Script.of(add(weightedAddr(other.authority))));
  const body = async (path: string, headers = {}) =>
    (await ask(scene.port, { path, headers })).body;
  assert.equal(await body("/"), "web");
  assert.equal(await body("/", { "x-city": "sf" }), "special");
  assert.equal(await body("/", { "x-city": "sfo" }), "web");
  assert.equal(await body("/special/offer"), "special");
  assert.equal(await body("/specials"), "web");
  const name = "outbound_http_route_backend_requests_total";
  assert.equal(scene.world.metric(name, 'backend_name="special"', 'route_name="route"'), 2);
  assert.equal(scene.world.metric(name, 'backend_name="web"', 'parent_name="web"'), 3);
});

test("[M17] request headers are changed by the rule first, then by the backend", async () => {
  const header = (value: string) => ({
    kind: {
      case: "requestHeaderModifier",
      value: { add: { headers: [{ name: "x-way", value: Buffer.from(value) }] } },
    },
  });
  const backends = {
    kind: {
      case: "firstAvailable",
      value: { backends: [{ backend: web, filters: [header("backend")] }] },
    },
  };
  await using scene = await stage(
    rules(rule(web, { filters: [header("rule")], backends })),
    ({ head }) => ({ body: head.headers.getAll("x-way").join(" ") }),
  );
  const answer = await ask(scene.port, { headers: { "x-way": "original" } });
  assert.equal(answer.body, "original rule backend");
});

test("a redirect and an injected failure are answered here, and counted as statuses", async () => {
  const redirect = { kind: { case: "redirect", value: { host: "b.example.com", status: 307 } } };
  const failure = {
    kind: { case: "failureInjector", value: { status: 418, message: "short and stout" } },
  };
  await using scene = await stage(
    rules(
      rule(web, { matches: [pathIs("/moved")], filters: [redirect] }),
      rule(web, { matches: [pathIs("/teapot")], filters: [failure] }),
    ),
    () => ({}),
  );
  const moved = await ask(scene.port, { path: "/moved", authority: "a.example.com" });
  assert.equal(moved.status, 307);
  assert.equal(moved.headers.get("location"), "http://b.example.com/moved");
  const teapot = await ask(scene.port, { path: "/teapot" });
  assert.equal(teapot.status, 418);
  assert.equal(teapot.headers.get("l5d-proxy-error"), "short and stout");
  assert.equal(scene.app.asked.length, 0);
  const name = "outbound_http_route_request_statuses_total";
  assert.equal(scene.world.metric(name, 'http_status="307"', 'error=""'), 1);
  assert.equal(scene.world.metric(name, 'http_status="418"', 'error=""'), 1);
});

test("[X06] a policy without what it needs: 500 for every request, and the connection ends", async () => {
  const broken = { ...web, queue: undefined };
  await using scene = await stage(rules(rule(broken)), () => ({}));
  const answer = await ask(scene.port, { headers: { connection: "keep-alive" } });
  assert.equal(answer.status, 500);
  assert.equal(answer.headers.get("l5d-proxy-error"), "unexpected error");
  assert.equal(answer.headers.get("connection"), "close");
});

test("a backend that says not where it is: 502 that says so", async () => {
  const nowhere = { ...web, kind: { case: undefined } };
  await using scene = await stage(rules(rule(nowhere)), () => ({}));
  const answer = await ask(scene.port);
  assert.equal(answer.status, 502);
  assert.match(answer.headers.get("l5d-proxy-error")!, /backend for Service default\/web has no/);
});

test("[M20] a 5xx is tried again, with its body, and the second answer is taken", async () => {
  const retry = httpRetry(1, [[500, 599]]);
  await using scene = await stage(
    rules(rule(web, { retry })),
    inTurn({ status: 503 }, { status: 204 }),
  );
  const answer = await ask(scene.port, { method: "POST", body: "the body" });
  assert.equal(answer.status, 204);
  assert.deepEqual(
    scene.app.asked.map((asked) => asked.body),
    ["the body", "the body"],
  );
  assert.equal(scene.world.metric("outbound_http_route_retry_requests_total"), 1);
  assert.equal(scene.world.metric("outbound_http_route_retry_successes_total"), 1);
});

test("[S06] [S07] a declared size above the cap is not kept, one of the cap is, with its length", async () => {
  const retry = httpRetry(1, [[500, 599]]);
  for (const [bytes, attempts] of [
    [65_537, 1],
    [65_536, 2],
  ] as const) {
    await using scene = await stage(
      rules(rule(web, { retry })),
      inTurn({ status: 503 }, { status: 200 }),
    );
    const headers = { "content-length": String(bytes) };
    const answer = await ask(scene.port, { method: "POST", headers, body: "x".repeat(bytes) });
    assert.equal(answer.status, attempts === 1 ? 503 : 200);
    assert.equal(scene.app.asked.length, attempts);
    for (const { head, body } of scene.app.asked) {
      assert.deepEqual([head.contentLength, body.length], [bytes, bytes]);
    }
  }
});

test("[M21] no attempt beyond the limit: the last failure is the answer", async () => {
  const retry = httpRetry(2, [[500, 599]]);
  await using scene = await stage(
    rules(rule(web, { retry })),
    inTurn({ status: 500 }, { status: 501 }, { status: 504 }, { status: 200 }),
  );
  assert.equal((await ask(scene.port)).status, 504);
  assert.equal(scene.app.asked.length, 3);
  assert.equal(scene.world.metric("outbound_http_route_retry_limit_exceeded_total"), 1);
});

test("[M22] an attempt that takes too long is given up for the next", async () => {
  const retry = httpRetry(1, [[500, 599]], 50);
  let count = 0;
  await using scene = await stage(rules(rule(web, { retry })), () => {
    count++;
    return count === 1 ? new Promise<Reply>(() => {}) : { status: 204 };
  });
  assert.equal((await ask(scene.port)).status, 204);
});

test("[M23] the bound of attempts does not hold for the last one", async () => {
  const retry = httpRetry(1, [[500, 599]], 50);
  let count = 0;
  await using scene = await stage(rules(rule(web, { retry })), async () => {
    count++;
    if (count === 1) return await new Promise<Reply>(() => {});
    await new Promise((resolve) => setTimeout(resolve, 120));
    return { status: 204 };
  });
  assert.equal((await ask(scene.port)).status, 204);
});

test("[M24] the request's own timeout bounds all attempts together", async () => {
  const retry = httpRetry(5, [[500, 599]], 300);
  const policy = rules(rule(web, { retry, timeouts: { requestMs: 500 } }));
  await using scene = await stage(policy, () => new Promise<Reply>(() => {}));
  const answer = await ask(scene.port);
  assert.equal(answer.status, 504);
  assert.match(answer.headers.get("l5d-proxy-error")!, /deadline/);
  assert.equal(scene.app.asked.length, 2);
});

test("[M27] [M28] l5d-retry headers count only where the route allows them", async () => {
  const headers = { "l5d-retry-http": "5xx", "l5d-retry-limit": "2" };
  const handler = (): Handler => inTurn({ status: 500 }, { status: 500 }, { status: 200 });
  await using allowed = await stage(rules(rule(web, { allowsHeaders: true })), handler());
  assert.equal((await ask(allowed.port, { headers })).status, 200);
  assert.equal(allowed.app.asked[2]!.head.headers.has("l5d-retry-http"), false);
  await using ignored = await stage(rules(rule(web)), handler());
  assert.equal((await ask(ignored.port, { headers })).status, 500);
  assert.equal(ignored.app.asked[0]!.head.headers.get("l5d-retry-http"), "5xx");
});

test("[M29] gRPC failures in trailers are tried again by code", async () => {
  const grpc = { "content-type": "application/grpc" };
  await using scene = await stage(
    rules(rule(web, { allowsHeaders: true })),
    inTurn(
      { headers: grpc, trailers: { "grpc-status": "14" } },
      { headers: grpc, body: "answer", trailers: { "grpc-status": "0" } },
    ),
    { version: "http2" },
  );
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask({
    method: "POST",
    headers: { ...grpc, "l5d-retry-grpc": "unavailable" },
    body: "question",
  });
  assert.equal(answer.trailers?.get("grpc-status"), "0");
  assert.equal(answer.body, "answer");
  assert.equal(scene.app.asked[1]!.body, "question");
});

test("[M35] the request timeout bounds the wait for an answer", async () => {
  const policy = rules(rule(web, { timeouts: { requestMs: 50 } }));
  await using scene = await stage(policy, () => new Promise<Reply>(() => {}));
  const answer = await ask(scene.port, { headers: { connection: "keep-alive" } });
  assert.equal(answer.status, 504);
  assert.notEqual(answer.headers.get("connection"), "close");
  const name = "outbound_http_route_request_statuses_total";
  assert.equal(scene.world.metric(name, 'http_status="504"'), undefined);
  assert.equal(scene.world.metric(name, 'error="REQUEST_TIMEOUT"'), 1);
});

test("[M37] [M39] [M40] [M41] bodies that never end break off at their timeout", async () => {
  for (const timeouts of [{ requestMs: 60 }, { responseMs: 60 }, { idleMs: 60 }]) {
    const policy = rules(rule(web, { timeouts }));
    await using scene = await stage(
      policy,
      () => ({ body: "late", until: new Promise(() => {}) }),
      { version: "http2" },
    );
    await using client = await Http2Asker.connect(scene.port);
    const answer = await client.ask();
    assert.equal(answer.status, 200);
    assert.notEqual(answer.error, undefined);
  }
});

test("[M38] the response timeout bounds the wait for the head", async () => {
  const policy = rules(rule(web, { timeouts: { responseMs: 50 } }));
  await using scene = await stage(policy, () => new Promise<Reply>(() => {}));
  const answer = await ask(scene.port);
  assert.equal(answer.status, 504);
  assert.match(answer.headers.get("l5d-proxy-error")!, /response headers/);
});

test("[M45] three failures shut an endpoint, a probe that succeeds opens it", async () => {
  const policy = detect(web, { accrual: consecutiveFailures(3, 2_000, 60_000) });
  let status = 500;
  await using scene = await stage(policy, () => ({ status }));
  for (let i = 0; i < 3; i++) assert.equal((await ask(scene.port)).status, 500);
  assert.equal((await ask(scene.port)).status, 504);
  status = 200;
  let answer = await ask(scene.port);
  assert.equal(answer.status, 503);
  while (answer.status !== 200) answer = await ask(scene.port);
  assert.equal((await ask(scene.port)).status, 200);
  assert.equal(scene.app.asked.length, 5);
});

test("[M46] the balancer leaves a tripped endpoint alone", async () => {
  const policy = detect(web, { accrual: consecutiveFailures(1, 60_000, 120_000) });
  await using scene = await stage(policy, () => ({ status: 500 }));
  await using good = await TestApp.start("http1", () => ({}));
  assert.equal((await ask(scene.port)).status, 500);
  const updates = scene.world.control.endpoints.get(WEB)!;
  updates.send(add(weightedAddr(good.authority)));
  for (let i = 0; i < 8; i++) assert.equal((await ask(scene.port)).status, 200);
  assert.equal(scene.app.asked.length, 1);
});

test("[M50] without a breaker failures change nothing", async () => {
  await using scene = await stage(rules(rule(web)), () => ({ status: 500 }));
  for (let i = 0; i < 12; i++) assert.equal((await ask(scene.port)).status, 500);
});

test("a change of policy holds for the next request of a live connection", async () => {
  await using scene = await stage(rules(rule(web)), () => ({}), { version: "http2" });
  await using client = await Http2Asker.connect(scene.port);
  assert.equal((await client.ask()).status, 200);
  scene.world.control.policies.get(TARGET)!.send(rules());
  let status = 200;
  while (status === 200) status = (await client.ask()).status;
  assert.equal(status, 404);
});

test("[M71] hosts are told apart only if that is switched on", async () => {
  const name = "outbound_http_route_request_duration_seconds_count";
  await using off = await stage(rules(rule(web)), () => ({}));
  await ask(off.port, { authority: "a.example.com" });
  assert.equal(off.world.metric(name, 'hostname=""'), 1);
  const env = { LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS: "true" };
  await using on = await stage(rules(rule(web)), () => ({}), { env });
  await ask(on.port, { authority: "a.example.com" });
  await ask(on.port, { authority: "10.0.0.1" });
  assert.equal(on.world.metric(name, 'hostname="a.example.com"'), 1);
  assert.equal(on.world.metric(name, 'hostname=""'), 1);
});

test("[J11] requests and answers of an endpoint, with its labels", async () => {
  await using scene = await stage(rules(rule(web)), inTurn({ status: 200 }, { status: 503 }));
  const { world, app, port } = scene;
  world.control.endpoints
    .get(WEB)!
    .restart(add(weightedAddr(app.authority, { labels: { pod: "web-1" } })));
  assert.equal(world.metric("request_total"), undefined);
  await ask(port);
  assert.equal(world.metric("request_total", 'direction="outbound"', 'dst_pod="web-1"'), 1);
  const ok = ['status_code="200"', 'classification="success"'];
  assert.equal(world.metric("response_total", ...ok), 1);
  await ask(port);
  const bad = ['status_code="503"', 'classification="failure"'];
  assert.equal(world.metric("response_total", ...bad), 1);
  assert.equal(world.metric("response_total", ...ok), 1);
  assert.equal(world.metric("response_latency_ms_count", 'status_code="200"'), 1);
});

test("an empty distribution is shed, and the next backend is used when the first fails fast", async () => {
  await using scene = await stage(
    rules(
      rule(web, { matches: [pathIs("/none")], backends: { kind: { case: "empty", value: {} } } }),
      rule(web, { backends: first(special, web) }),
    ),
    () => ({ body: "second" }),
  );
  // Before the first request: with it, all of the policy's backends are looked up.
  scene.world.control.endpoints.set(SPECIAL, new Script());
  assert.equal((await ask(scene.port, { path: "/none" })).status, 503);
  assert.equal((await ask(scene.port)).status, 504);
  assert.equal((await ask(scene.port)).body, "second");
});
