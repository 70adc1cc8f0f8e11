/** Peers that cannot prove who they are, over real TLS: refused, counted, and told to the log. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { before, test } from "node:test";
import tls from "node:tls";
import { type LeafOptions, TestCa } from "@heddle/testkit/ca";
import { TRANSPORT_PROTOCOL } from "@heddle/wire/transport-header/transport-header";
import { TestApp } from "../testing/apps.ts";
import type { ServerInit } from "../testing/control.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const PEER_ID = "peer.default.serviceaccount.identity.linkerd.cluster.local";
const HOUR_MS = 3_600_000;

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

type Certificate = Pick<tls.ConnectionOptions, "cert" | "key">;

async function certificate(options: LeafOptions = {}, from: TestCa = ca): Promise<Certificate> {
  const leaf = await from.leaf({ sans: [{ dns: PEER_ID }], ...options });
  return { cert: leaf.chainPem, key: leaf.keyPem };
}

interface Stranger {
  readonly what: string;
  readonly own: Certificate;
  /** What the log says of it. */
  readonly reason: RegExp;
}

async function strangers(): Promise<readonly Stranger[]> {
  const at = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);
  return [
    {
      what: "an expired certificate",
      own: await certificate({ notBefore: at(-3), notAfter: at(-1) }),
      reason: /Cannot trust client: CERT_HAS_EXPIRED/,
    },
    {
      what: "a certificate that is not valid yet",
      own: await certificate({ notBefore: at(1), notAfter: at(3) }),
      reason: /Cannot trust client: CERT_NOT_YET_VALID/,
    },
    {
      what: "a certificate of another CA",
      own: await certificate({}, await TestCa.root("other.test")),
      reason: /Cannot trust client: UNABLE_TO/,
    },
    {
      what: "a certificate of another CA of the same name",
      own: await certificate({}, await TestCa.root()),
      reason: /Cannot trust client: CERT_SIGNATURE_FAILURE/,
    },
  ];
}

/** Asks over TLS; undefined if the connection ends without a byte of an answer. */
async function ask(port: number, own: Certificate, alpn?: string): Promise<string | undefined> {
  const options: tls.ConnectionOptions & { readonly localAddress: string } = {
    host: "127.0.0.1",
    port,
    servername: TEST_ID,
    ca: ca.pem,
    minVersion: "TLSv1.3",
    // From the network: loopback is always admitted.
    localAddress: "127.77.0.20",
    ...own,
    ...(alpn === undefined ? {} : { ALPNProtocols: [alpn] }),
  };
  const socket = tls.connect(options);
  // In TLS 1.3 a client hears only after its handshake that its certificate was refused.
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  let answer = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    answer += text;
  });
  await once(socket, "close");
  return answer === "" ? undefined : answer;
}

class Stage implements AsyncDisposable {
  readonly world: TestWorld;
  readonly app: TestApp;
  readonly #log: readonly string[];

  private constructor(world: TestWorld, app: TestApp, log: readonly string[]) {
    this.world = world;
    this.app = app;
    this.#log = log;
  }

  static async start(): Promise<Stage> {
    const log: string[] = [];
    const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
    const write = (line: string): void => void log.push(line);
    const world = await TestWorld.start({ anchors: ca.pem, leaf, log: write });
    return new Stage(world, await TestApp.start("http1", () => ({ body: "hello" })), log);
  }

  refusals(): number {
    const series = this.world.metrics().matchAll(/^inbound_tcp_errors_total\{[^}]*\} (\d+)$/gm);
    return [...series].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** The last that the log says of a connection's end. */
  lastEnd(): string {
    return this.#log.findLast((line) => line.includes("Connection closed")) ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
    await this.app[Symbol.asyncDispose]();
  }
}

test("a peer with an expired certificate or one of another CA gets no answer, is counted and logged", async () => {
  await using stage = await Stage.start();
  const { port } = await stage.world.inbound(stage.app.authority);
  assert.match((await ask(port, await certificate()))!, /^HTTP\/1\.1 200 [\s\S]*hello$/);
  const { length: served } = stage.app.asked;
  for (const { what, own, reason } of await strangers()) {
    const before = stage.refusals();
    assert.equal(await ask(port, own), undefined, what);
    assert.equal(stage.refusals(), before + 1, what);
    assert.match(stage.lastEnd(), /client=127\.77\.0\.20 /, what);
    assert.match(stage.lastEnd(), reason, what);
  }
  assert.equal(stage.app.asked.length, served, "nothing reached the application");
});

test("at the inbound port itself a peer without a certificate is refused like the others", async () => {
  await using stage = await Stage.start();
  const { port } = await stage.world.inbound();
  const nobody = { what: "no certificate", own: {}, reason: /must be mutually authenticated/ };
  for (const { what, own, reason } of [nobody, ...(await strangers())]) {
    const before = stage.refusals();
    assert.equal(await ask(port, own, TRANSPORT_PROTOCOL), undefined, what);
    assert.equal(stage.refusals(), before + 1, what);
    assert.match(stage.lastEnd(), reason, what);
  }
});

const meta = (kind: string, name: string) => ({
  kind: { case: "resource", value: { group: "policy.linkerd.io", kind, name } },
});

/** Admits these clients from anywhere, and nobody else. */
function admitting(clients: object): ServerInit {
  return {
    protocol: { kind: { case: "detect", value: { timeout: { seconds: 10n } } } },
    labels: { group: "policy.linkerd.io", kind: "server", name: "web" },
    authorizations: [
      {
        metadata: meta("authorizationpolicy", "peer"),
        networks: [{ net: { ip: { ip: { case: "ipv4", value: 0 } }, prefixLen: 0 } }],
        authentication: {
          permit: {
            case: "meshTLS",
            value: { clients: { case: "identities", value: clients } },
          },
        },
      },
    ],
  } as ServerInit;
}

test("a peer of the right CA under another name, or under none, is refused by the policy and counted", async () => {
  await using stage = await Stage.start();
  const appPort = Number(stage.app.authority.split(":")[1]);
  const onlyPeer = admitting({ identities: [{ name: PEER_ID }] });
  stage.world.control.servers.set(appPort, Script.of(onlyPeer));
  const { port } = await stage.world.inbound(stage.app.authority);
  // Until the policy is there, the default's is in force.
  while (!stage.world.metrics().includes('srv_name="web"')) await ask(port, await certificate());
  assert.match((await ask(port, await certificate()))!, /200/);
  const { length: served } = stage.app.asked;
  const other = await certificate({ sans: [{ dns: `not-${PEER_ID}` }] });
  for (const own of [other, {}]) {
    const answer = await ask(port, own);
    assert.ok(answer === undefined || answer.startsWith("HTTP/1.1 403 "), String(answer));
  }
  assert.equal(stage.app.asked.length, served, "nothing reached the application");
  assert.match(
    stage.world.metrics(),
    /inbound_\w+_authz_deny_total\{[^}]*srv_name="web"[^}]*client_id="not-peer/,
  );
});

const MACHINE_ID = "spiffe://mesh.example/ns/default/external/till-1";

const MACHINE_RULES: readonly (readonly [what: string, clients: object, isAdmitted: boolean])[] = [
  ["its id, as proxies that are not ours get it", { identities: [{ name: MACHINE_ID }] }, true],
  ["its trust domain, as ours get it", { heddleSpiffeTrustDomains: ["mesh.example"] }, true],
  ["another machine's id", { identities: [{ name: `${MACHINE_ID}0` }] }, false],
  ["a longer trust domain", { heddleSpiffeTrustDomains: ["mesh.example.org"] }, false],
  ["every suffix of DNS names", { suffixes: [{ parts: [] }, { parts: ["till-1"] }] }, false],
];

for (const [what, clients, isAdmitted] of MACHINE_RULES) {
  test(`a machine is ${isAdmitted ? "admitted" : "refused"} by ${what}`, async () => {
    await using stage = await Stage.start();
    const appPort = Number(stage.app.authority.split(":")[1]);
    stage.world.control.servers.set(appPort, Script.of(admitting(clients)));
    const { port } = await stage.world.inbound(stage.app.authority);
    const own = await certificate({ sans: [{ uri: MACHINE_ID }] });
    // Until the policy is there, the default's is in force.
    while (!stage.world.metrics().includes('srv_name="web"')) await ask(port, own);
    const { length: served } = stage.app.asked;
    assert.match((await ask(port, own))!, isAdmitted ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 403 /);
    assert.equal(stage.app.asked.length, served + (isAdmitted ? 1 : 0));
    const verdict = isAdmitted ? "allow" : "deny";
    assert.match(
      stage.world.metrics(),
      new RegExp(`inbound_\\w+_authz_${verdict}_total\\{[^}]*client_id="${MACHINE_ID}"`),
    );
  });
}
