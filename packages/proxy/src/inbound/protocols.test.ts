/** What a port's policy says its connections speak, and what routes of it do. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { before, test } from "node:test";
import { Http2Client } from "@heddle/net/http2/client";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { type Answer, ask, askHttp1, type Handler, Http2Asker, TestApp } from "../testing/apps.ts";
import type { ServerInit } from "../testing/control.ts";
import {
  EVERYBODY,
  type InboundScene,
  meta,
  REMOTE,
  server,
  stage,
  stageWith,
} from "../testing/inbound-stage.ts";
import { dialMeshed, PEER_ID } from "../testing/mesh-client.ts";
import { Script } from "../testing/script.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

const GRPC = { method: "POST", headers: { "content-type": "application/grpc" } };

/** How often detection came to `result`, over all servers. */
function detected(scene: InboundScene, result: string): number {
  return scene.world
    .metrics()
    .split("\n")
    .filter((line) => line.includes("detect_http_results_total{") && line.includes(`"${result}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** A proxy of a port that speaks HTTP/2 alone, whose policy holds. */
async function stageHttp2(policy: ServerInit, handler: Handler): Promise<InboundScene> {
  const scene = await stage(ca, handler, { version: "http2" });
  const script = Script.of(policy);
  scene.world.control.servers.set(Number(scene.app.authority.split(":")[1]), script);
  for (;;) {
    await using client = await Http2Asker.connect(scene.port);
    await client.ask({ ...GRPC, path: "/warm.Up/Now" });
    if (scene.world.metrics().includes('srv_name="web"')) return scene;
  }
}

test("[K01] under a policy that allows, a connection is looked at and served", async () => {
  await using scene = await stageWith(ca, server("detect", { timeout: { seconds: 10n } }));
  const before = detected(scene, "http/1");
  assert.equal((await ask(scene.port, REMOTE)).status, 200);
  assert.equal(detected(scene, "http/1"), before + 1);
});

test("[K07] [K08] policy Http1 looks all the same, and serves HTTP/2 where its preface comes", async () => {
  await using scene = await stageWith(ca, server("http1", {}));
  const before = [detected(scene, "http/1"), detected(scene, "http/2")];
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  const at = { ip: "127.0.0.1", port: scene.port };
  assert.equal((await askHttp1(await dialMeshed(credentials, at))).status, 200);
  await using client = new Http2Asker(new Http2Client(await dialMeshed(credentials, at)));
  const upgraded = await client.ask({ headers: { "l5d-orig-proto": "HTTP/1.1" } });
  assert.equal(upgraded.status, 200);
  const after = [detected(scene, "http/1"), detected(scene, "http/2")];
  assert.deepEqual(after, [before[0]! + 1, before[1]! + 1]);
});

test("[K09] policy Http2 looks at nothing, and takes what comes for HTTP/2", async () => {
  await using scene = await stageHttp2(server("http2", {}), () => ({ body: "two" }));
  const all = (): number[] => ["http/1", "http/2", "not_http"].map((one) => detected(scene, one));
  const before = all();
  await using client = await Http2Asker.connect(scene.port);
  assert.equal((await client.ask()).body, "two");
  // What is no HTTP/2 is answered in HTTP/2, and closed.
  const socket = connect({ port: scene.port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  const said: Buffer[] = [];
  for await (const chunk of socket) said.push(chunk as Buffer);
  assert.doesNotMatch(Buffer.concat(said).toString("latin1"), /^HTTP\/1/);
  assert.deepEqual(all(), before);
});

test("[K25] an injected failure never reaches the application", async () => {
  const value = { status: 418, message: "teapot", ratio: { numerator: 1, denominator: 1 } };
  const filters = [{ kind: { case: "failureInjector", value } }];
  const httpRoutes = [{ metadata: meta("HTTPRoute", "all"), rules: [{ filters }] }];
  await using scene = await stageWith(
    ca,
    server("detect", { timeout: { seconds: 10n }, httpRoutes }),
  );
  const before = scene.app.asked.length;
  // Not specially handled on the inbound side: an error like any other.
  assert.equal((await ask(scene.port)).status, 500);
  assert.equal(scene.app.asked.length, before);
});

test("[K26] requests within the rate limit pass", async () => {
  const localRateLimit = {
    metadata: meta("HTTPLocalRateLimitPolicy", "limit"),
    total: { requestsPerSecond: 10 },
    identity: { requestsPerSecond: 5 },
  };
  await using app = await TestApp.start("http1", () => ({ body: "ok" }));
  await using scene = await stage(ca);
  const script = Script.of(server("http1", { localRateLimit }));
  scene.world.control.servers.set(Number(app.authority.split(":")[1]), script);
  const { port } = await scene.world.inbound(app.authority);
  const answers = await Promise.all([ask(port), ask(port)]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
});

const grpcRoute = (name: string, authorizations: object[], filters: object[] = []): object => ({
  metadata: meta("GRPCRoute", name),
  authorizations,
  rules: [
    {
      matches: [{ rpc: { service: "test.Svc", method: name } }],
      filters,
    },
  ],
});

const statusOf = ({ headers, trailers }: Answer): string | undefined =>
  headers.get("grpc-status") ?? trailers?.get("grpc-status");

test("[K28] gRPC routes admit, refuse or are not found", async () => {
  const routes = [grpcRoute("Open", [EVERYBODY]), grpcRoute("Shut", [])];
  await using scene = await stageHttp2(server("grpc", { routes }, []), () => ({
    body: "",
    trailers: { "grpc-status": "0" },
  }));
  await using client = await Http2Asker.connect(scene.port, REMOTE.localAddress);
  const call = async (name: string): Promise<string | undefined> =>
    statusOf(await client.ask({ ...GRPC, path: `/test.Svc/${name}` }));
  assert.equal(await call("Open"), "0");
  assert.equal(await call("Shut"), "7");
  assert.equal(await call("Other"), "5");
  const asked = scene.app.asked
    .map(({ head }) => head.path)
    .filter((path) => path !== "/warm.Up/Now");
  assert.deepEqual(asked, ["/test.Svc/Open"]);
});

test("[K29] a filter of a gRPC route adds a header before the application sees the call", async () => {
  const value = { add: { headers: [{ name: "x-added", value: Buffer.from("yes") }] } };
  const filters = [{ kind: { case: "requestHeaderModifier", value } }];
  const routes = [grpcRoute("Open", [EVERYBODY], filters)];
  await using scene = await stageHttp2(server("grpc", { routes }), () => ({
    body: "",
    trailers: { "grpc-status": "0" },
  }));
  await using client = await Http2Asker.connect(scene.port);
  assert.equal(statusOf(await client.ask({ ...GRPC, path: "/test.Svc/Open" })), "0");
  assert.equal(scene.app.asked.at(-1)!.head.headers.get("x-added"), "yes");
});
