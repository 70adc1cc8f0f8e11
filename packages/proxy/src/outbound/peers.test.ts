/** Endpoints that cannot prove who they are, over real TLS: never spoken to, counted and logged. */
import assert from "node:assert/strict";
import net from "node:net";
import { before, test } from "node:test";
import { type LeafOptions, TestCa } from "@heddle/testkit/ca";
import { newCredentials } from "@heddle/testkit/mesh-ends";
import { ask, TestPeer } from "../testing/apps.ts";
import type { PolicyInit } from "../testing/control.ts";
import { add, balanced, detect, opaque, weightedAddr } from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";
const PEER_ID = "peer.default.serviceaccount.identity.linkerd.cluster.local";
const HOUR_MS = 3_600_000;

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

interface Stranger {
  readonly what: string;
  /** Undefined: it takes what it gets for plaintext. */
  readonly certificate: { readonly from: TestCa; readonly options?: LeafOptions } | undefined;
  readonly code: string;
  /** What the log says of it. */
  readonly reason: RegExp;
}

async function strangers(): Promise<readonly Stranger[]> {
  const at = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);
  const other = "other.default.serviceaccount.identity.linkerd.cluster.local";
  return [
    {
      what: "an expired certificate",
      certificate: { from: ca, options: { notBefore: at(-3), notAfter: at(-1) } },
      code: "tls_untrusted",
      reason: /Cannot trust server: CERT_HAS_EXPIRED/,
    },
    {
      what: "a certificate that is not valid yet",
      certificate: { from: ca, options: { notBefore: at(1), notAfter: at(3) } },
      code: "tls_untrusted",
      reason: /Cannot trust server: CERT_NOT_YET_VALID/,
    },
    {
      what: "a certificate of another CA",
      certificate: { from: await TestCa.root("other.test") },
      code: "tls_untrusted",
      reason: /Cannot trust server: SELF_SIGNED_CERT_IN_CHAIN/,
    },
    {
      what: "a certificate of another CA of the same name",
      certificate: { from: await TestCa.root() },
      code: "tls_untrusted",
      reason: /Cannot trust server: CERT_SIGNATURE_FAILURE/,
    },
    {
      what: "the right CA under another name",
      certificate: { from: ca, options: { sans: [{ dns: other }] } },
      code: "identity_mismatch",
      reason: /Cannot accept other\.default.* certificate does not match TLS identity/,
    },
    {
      what: "no certificate at all",
      certificate: undefined,
      code: "tls_handshake",
      reason: /TLS handshake failed/,
    },
  ];
}

/** A proxy whose only endpoint is this stranger, and what the stranger heard beyond its handshake. */
class Stage implements AsyncDisposable {
  readonly world: TestWorld;
  readonly log: readonly string[];
  heard = "";
  #stranger!: AsyncDisposable;

  private constructor(world: TestWorld, log: readonly string[]) {
    this.world = world;
    this.log = log;
  }

  static async start({ certificate }: Stranger, policy: PolicyInit): Promise<Stage> {
    const log: string[] = [];
    const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
    const write = (line: string): void => void log.push(line);
    const stage = new Stage(await TestWorld.start({ anchors: ca.pem, leaf, log: write }), log);
    const port = await stage.#listen(certificate);
    const { policies, endpoints } = stage.world.control;
    policies.set(TARGET, Script.of(policy));
    const endpoint = { tlsId: PEER_ID, hint: "h2", inboundPort: port } as const;
    endpoints.set(WEB, Script.of(add(weightedAddr("127.77.0.10:9000", endpoint))));
    return stage;
  }

  async #listen(certificate: Stranger["certificate"]): Promise<number> {
    if (certificate === undefined) {
      const server = net.createServer((socket) => socket.end("SSH-2.0-OpenSSH\r\n"));
      await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
      this.#stranger = { [Symbol.asyncDispose]: async () => void server.close() };
      return (server.address() as net.AddressInfo).port;
    }
    const options = { sans: [{ dns: PEER_ID }], ...certificate.options };
    const peer = await TestPeer.start(await newCredentials(certificate.from, options), PEER_ID, {
      raw: (socket) => {
        socket.setHandler({
          onData: (bytes, start, end) => {
            this.heard += Buffer.from(bytes.subarray(start, end)).toString("latin1");
          },
          onDrain: () => {},
          onEnd: () => socket.end(),
          onClose: () => {},
        });
      },
    });
    this.#stranger = peer;
    return peer.port;
  }

  refusals(code: string): number | undefined {
    return this.world.metric(
      "heddle_tcp_connect_errors_total",
      `target_addr="127.77.0.10:9000"`,
      `server_id="${PEER_ID}"`,
      `error="${code}"`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
    await this.#stranger[Symbol.asyncDispose]();
  }
}

test("requests never reach an endpoint that cannot prove who it is; it is counted and logged", async () => {
  for (const stranger of await strangers()) {
    const { what, code, reason } = stranger;
    await using stage = await Stage.start(stranger, detect(balanced(WEB)));
    const { port } = await stage.world.outbound(TARGET);
    const answer = await ask(port);
    assert.equal(answer.status, 504, what);
    assert.match(answer.headers.get("l5d-proxy-error")!, /service in fail-fast/, what);
    assert.ok(stage.refusals(code)! >= 1, `${what} is counted as ${code}`);
    const line = stage.log.find((one) => one.includes("Failed to connect"))!;
    assert.match(line, reason, what);
    assert.match(line, /ip=127\.77\.0\.10 port=9000/, what);
    assert.equal(stage.heard, "", what);
  }
});

test("opaque bytes never reach an endpoint that cannot prove who it is; it is counted and logged", async () => {
  for (const stranger of await strangers()) {
    const { what, code, reason } = stranger;
    await using stage = await Stage.start(stranger, opaque(balanced(WEB)));
    const { port } = await stage.world.outbound(TARGET);
    const client = net.connect(port, "127.0.0.1");
    client.on("error", () => {}).write("secret");
    let got = "";
    client.setEncoding("latin1").on("data", (text: string) => {
      got += text;
    });
    await new Promise((resolve) => client.on("close", resolve));
    assert.deepEqual([got, stage.heard], ["", ""], what);
    assert.ok(stage.refusals(code)! >= 1, `${what} is counted as ${code}`);
    assert.ok(
      stage.log.some((line) => reason.test(line)),
      `${what} is logged`,
    );
  }
});
