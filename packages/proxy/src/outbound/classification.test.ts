/** What counts as a failure of an endpoint, and when its breaker hears of it. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { type Handler, Http2Asker, TestApp } from "../testing/apps.ts";
import { add, balanced, consecutiveFailures, detect, weightedAddr } from "../testing/messages.ts";
import { newScene, type Scene } from "../testing/scene.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";
const GRPC = { method: "POST", headers: { "content-type": "application/grpc" } };

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** An outbound side whose policy is of HTTP routes, and a breaker that one failure trips. */
async function stage(handler: Handler): Promise<Scene> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = await TestWorld.start({ anchors: ca.pem, leaf });
  const app = await TestApp.start("http2", handler);
  const accrual = consecutiveFailures(1, 60_000, 60_000);
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB), { accrual })));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  return newScene(world, app, port);
}

test("[T05] gRPC content under a policy of HTTP routes is judged by its trailers", async () => {
  await using scene = await stage(() => ({ body: "data", trailers: { "grpc-status": "13" } }));
  await using client = await Http2Asker.connect(scene.port);
  const answer = await client.ask(GRPC);
  assert.deepEqual([answer.status, answer.trailers?.get("grpc-status")], [200, "13"]);
  const labels = ['status_code="200"', 'classification="failure"', 'grpc_status="13"'];
  assert.equal(scene.world.metric("response_total", ...labels), 1);
});

test("[T06] a breaker learns how a call went at the end of its stream", async () => {
  const release = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using scene = await stage(({ head }) => {
    if (head.path !== "/held") return { body: "", trailers: { "grpc-status": "0" } };
    begun.resolve();
    return { body: "data", trailers: { "grpc-status": "14" }, until: release.promise };
  });
  await using client = await Http2Asker.connect(scene.port);
  const held = client.ask({ ...GRPC, path: "/held" });
  await begun.promise;
  // It has begun, with 200, and says nothing yet.
  assert.equal((await client.ask(GRPC)).trailers?.get("grpc-status"), "0");
  release.resolve();
  assert.equal((await held).trailers?.get("grpc-status"), "14");
  const refused = await client.ask(GRPC);
  assert.match(refused.headers.get("l5d-proxy-error") ?? "", /fail-fast|unavailable/);
});
