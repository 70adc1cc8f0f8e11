import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { writeTransportHeader } from "@heddle/net/transport-header";
import { TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { ask, askHttp1, TestApp } from "../testing/apps.ts";
import { EVERYBODY, meta, REMOTE, server } from "../testing/inbound-stage.ts";
import { dialMeshed, PEER_ID } from "../testing/mesh-client.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

const TIMEOUT = { seconds: 10n };
const DETECT = { timeout: TIMEOUT };
const ROUTE = { metadata: meta("HTTPRoute", "r"), authorizations: [EVERYBODY], rules: [{}] };
const NAMELESS = { ...server("detect", DETECT), labels: {} };

/** What is told of a port, the answer, and what the log says of it. Shapes are ours, facts observed. */
const CASES: readonly (readonly [string, object, number, RegExp | undefined])[] = [
  ["whole", server("detect", { ...DETECT, httpRoutes: [ROUTE] }), 200, undefined],
  ["no protocol", { ...server("detect", {}), protocol: {} }, 403, /missing protocol detection tim/],
  ["no timeout", server("detect", {}), 403, /missing protocol detection timeout/],
  ["no routes", server("detect", DETECT), 200, undefined],
  [
    "a route without metadata",
    server("detect", { ...DETECT, httpRoutes: [{ ...ROUTE, metadata: undefined }] }),
    403,
    /invalid HTTP route: invalid labels: missing/,
  ],
  [
    "a route without rules",
    server("detect", { ...DETECT, httpRoutes: [{ ...ROUTE, rules: [] }] }),
    404,
    undefined,
  ],
  ["no authorizations", server("detect", DETECT, []), 403, undefined],
  [
    "no networks",
    server("detect", DETECT, [{ ...EVERYBODY, networks: [] }]),
    403,
    /invalid authorization: missing networks/,
  ],
  [
    "a network without its block",
    server("detect", DETECT, [{ ...EVERYBODY, networks: [{}] }]),
    403,
    /invalid authorization: missing network/,
  ],
  [
    "no authentication",
    server("detect", DETECT, [{ ...EVERYBODY, authentication: undefined }]),
    403,
    /invalid authorization: missing authentications/,
  ],
  [
    "an authorization of the old kind, named by labels",
    server("detect", DETECT, [{ ...EVERYBODY, metadata: undefined, labels: { name: "old" } }]),
    200,
    undefined,
  ],
  [
    "a nameless authorization",
    server("detect", DETECT, [{ ...EVERYBODY, metadata: undefined }]),
    403,
    /invalid authorization: invalid label: missing 'name' label/,
  ],
  ["no labels", NAMELESS, 403, /invalid label: missing 'name' label/],
  [
    "no name",
    { ...NAMELESS, labels: { group: "policy.linkerd.io", kind: "server" } },
    403,
    /invalid label: missing 'name' label/,
  ],
  ["no kind and no group", { ...NAMELESS, labels: { name: "web" } }, 200, undefined],
  ["HTTP/1", server("http1", {}), 200, undefined],
];

test("[X07] which missing fields void an inbound policy, and what is then answered and logged", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  const appPort = Number(app.authority.split(":")[1]);
  for (const [name, policy, status, logged] of CASES) {
    const lines: string[] = [];
    const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
    await using world = await TestWorld.start({
      anchors: ca.pem,
      leaf,
      log: (line) => void lines.push(line),
      // Known before traffic: nothing is judged by the default.
      env: { LINKERD2_PROXY_INBOUND_PORTS: String(appPort) },
    });
    const script = Script.of(policy);
    world.control.servers.set(appPort, script);
    const { port } = await world.inbound(app.authority);
    const isVoid = logged !== undefined;
    const label = isVoid ? 'srv_kind="default",srv_name="invalid"' : 'srv_name="web"';
    // The first connections may come before the policy.
    for (;;) {
      const answer = await ask(port, REMOTE);
      if (world.metrics().includes(label) && answer.status === status) break;
      await nextTurn();
    }
    const said = lines.filter((line) => line.includes("Server misconfigured"));
    if (isVoid) assert.match(said.join("\n"), logged, name);
    else assert.deepEqual(said, [], name);
    assert.equal((await ask(port, REMOTE)).status, status, name);
  }
});

test("[X07] requests of a session to a port that its policy calls opaque or TLS find no route", async () => {
  await using app = await TestApp.start("http1", () => ({}));
  const appPort = Number(app.authority.split(":")[1]);
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const credentials = await newCredentials(ca, { sans: [{ dns: PEER_ID }] });
  for (const kind of ["opaque", "tls"]) {
    await using world = await TestWorld.start({ anchors: ca.pem, leaf });
    const script = Script.of(server(kind, {}));
    world.control.servers.set(appPort, script);
    const { port } = await world.inbound();
    const asked = async (): Promise<number> => {
      const socket = await dialMeshed(credentials, { ip: "127.0.0.1", port }, true);
      assert.equal(
        writeTransportHeader(socket, { port: appPort, name: undefined, protocol: "http1" }),
        true,
      );
      return (await askHttp1(socket)).status;
    };
    // The first may be judged by the default policy.
    while (!world.metrics().includes('srv_name="web"')) await asked();
    assert.equal(await asked(), 404, kind);
  }
});
