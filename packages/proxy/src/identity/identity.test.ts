import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { SpiffeWorkloadAPI } from "@heddle/api/gen/workload_pb";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import { GrpcServer } from "@heddle/net/grpc/server";
import { Http2Runtime } from "@heddle/net/http2/runtime";
import { type Http2Server, serveHttp2 } from "@heddle/net/http2/server";
import { startListener } from "@heddle/net/listener";
import { type LeafOptions, TestCa } from "@heddle/testkit/ca";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";
import { judgeIssued, parseAnchors } from "./chain.ts";
import { splitDer, WorkloadIdentity } from "./workload-api.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

const HOUR = 3_600_000;

async function judge(options: LeafOptions, from: TestCa = ca): Promise<string> {
  const leaf = await from.leaf(options);
  const issued = { chain: [leaf.der], key: leaf.keyDer };
  try {
    judgeIssued(issued, parseAnchors(ca.pem), TEST_ID, Date.now());
    return "taken";
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
}

const mine = [{ dns: TEST_ID }];

test("[E08] a certificate of the anchor with the right name is taken, without EKU as well", async () => {
  assert.equal(await judge({ sans: mine }), "taken");
  assert.equal(await judge({ sans: mine, purposes: [] }), "taken");
  assert.equal(await judge({ sans: mine, keyType: "ed25519" }), "taken");
  assert.equal(await judge({ sans: [{ dns: "other.example.com" }, ...mine] }), "taken");
});

test("[E09] certificates that cannot be ours are refused, with the cause", async () => {
  assert.match(await judge({ sans: mine }, await TestCa.root("other")), /UnknownIssuer/);
  assert.match(await judge({ sans: [{ dns: "other" }] }), /does not match TLS identity/);
  assert.match(await judge({}), /does not match TLS identity/);
  const past = {
    notBefore: new Date(Date.now() - 2 * HOUR),
    notAfter: new Date(Date.now() - HOUR),
  };
  assert.match(await judge({ sans: mine, ...past }), /certificate expired/);
  const future = { notBefore: new Date(Date.now() + HOUR) };
  assert.match(await judge({ sans: mine, ...future }), /not valid yet/);
});

test("a chain needs its intermediates, its own key, and DER", async () => {
  const middle = await ca.intermediate();
  const leaf = await middle.leaf({ sans: mine });
  const other = await ca.leaf({ sans: mine });
  const anchors = parseAnchors(ca.pem);
  const judged = (chain: Uint8Array[], key: Uint8Array): unknown =>
    judgeIssued({ chain, key }, anchors, TEST_ID, Date.now());
  assert.throws(() => judged([leaf.der], leaf.keyDer), /UnknownIssuer/);
  judged([leaf.der, middle.der], leaf.keyDer);
  assert.throws(() => judged([other.der], leaf.keyDer), /KeyMismatch/);
  assert.throws(() => judged([Buffer.from(other.pem)], other.keyDer), /BadEncoding/);
  assert.throws(() => judged([other.der], Buffer.from(other.keyPem)), /private key/);
  assert.throws(() => judged([], other.keyDer), /no certificate/);
});

test("[E04] [E26] a proxy is ready once certified, and says until when", async () => {
  const leaf = await ca.leaf({ sans: mine });
  await using world = await TestWorld.start({ anchors: ca.pem, leaf });
  assert.equal(world.runtime.identity.isReady, true);
  assert.equal(world.metric("control_identity_cert_refreshes_total", 'result="ok"'), 1);
  const until = world.metric("control_identity_cert_expiration_timestamp_seconds ")!;
  assert.ok(until > Date.now() / 1_000);
});

test("[E05] a certificate that ends soon is asked for again, with what is then installed", async () => {
  const leaf = await ca.leaf({ sans: mine });
  const env = { LINKERD2_PROXY_IDENTITY_MIN_REFRESH: "10ms" };
  await using world = await TestWorld.start({ anchors: ca.pem, leaf, env, validMs: 200 });
  const { credentials } = world.runtime.identity;
  const { version } = credentials;
  while (credentials.version === version) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(world.control.countOf("Certify") >= 2);
});

/** A Workload API on a unix socket. */
async function startWorkloadApi(updates: Script<object>) {
  const directory = mkdtempSync(join(tmpdir(), "heddle-svid-"));
  const path = join(directory, "agent.sock");
  const seen: (string | undefined)[] = [];
  const server = new GrpcServer().add(SpiffeWorkloadAPI, {
    fetchX509SVID: (_request, { metadata, signal }) => {
      seen.push(metadata.get("workload.spiffe.io"));
      return updates.stream(signal);
    },
  });
  const open = new Set<Http2Server>();
  const listener = await startListener({ at: { path } }, (socket) => {
    open.add(serveHttp2(socket, server));
  });
  return {
    path,
    seen,
    async [Symbol.asyncDispose]() {
      await listener.close();
      for (const connection of open) connection.destroy();
      rmSync(directory, { recursive: true });
    },
  };
}

const SVID = "spiffe://root.test/ns/default/external/web";

function startWorkloadIdentity(socketPath: string, metrics: Registry): WorkloadIdentity {
  const config = {
    trustAnchors: ca.pem,
    id: SVID,
    serverName: "web.mesh",
    source: {
      kind: "workload_api" as const,
      socketPath,
      backoff: { minMs: 5, maxMs: 10, jitter: 0 },
    },
  };
  const http2 = new Http2Runtime();
  const log = Log.silent();
  return new WorkloadIdentity(config, {
    clock: systemClock,
    log,
    metrics,
    http2,
    random: Math.random,
  });
}

async function svid(id = SVID): Promise<object> {
  const leaf = await ca.leaf({ sans: [{ uri: id }] });
  return { spiffeId: id, x509Svid: leaf.der, x509SvidKey: leaf.keyDer, bundle: ca.der };
}

test("[E24] [E25] an SVID is installed, rotated, and kept when what comes is not ours", async () => {
  const updates = Script.of<object>({
    svids: [await svid("spiffe://root.test/other"), await svid()],
  });
  await using api = await startWorkloadApi(updates);
  const metrics = new Registry();
  await using identity = startWorkloadIdentity(api.path, metrics);
  await identity.ready;
  assert.deepEqual(api.seen, ["true"]);
  const first = identity.credentials.material.certificate;
  const errors = (): boolean => metrics.expose().includes('refreshes_total{result="error"} 3');
  updates.send({ svids: [await svid("spiffe://root.test/other")] });
  updates.send({
    svids: [{ spiffeId: SVID, x509Svid: new Uint8Array(), x509SvidKey: new Uint8Array(1) }],
  });
  updates.send({ svids: [{ ...(await svid()), x509SvidKey: new Uint8Array() }] });
  while (!errors()) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(identity.credentials.material.certificate, first);
  const { version } = identity.credentials;
  updates.send({ svids: [await svid()] });
  while (identity.credentials.version === version) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.notEqual(identity.credentials.material.certificate, first);
});

test("a Workload API that comes later is found, and asked again when its stream ends", async () => {
  const updates = Script.of<object>({ svids: [await svid()] });
  await using placeholder = await startWorkloadApi(updates);
  const metrics = new Registry();
  const missing = `${placeholder.path}.later`;
  await using identity = startWorkloadIdentity(missing, metrics);
  const server = new GrpcServer().add(SpiffeWorkloadAPI, {
    fetchX509SVID: (_request, { signal }) => updates.stream(signal),
  });
  const listener = await startListener({ at: { path: missing } }, (socket) => {
    serveHttp2(socket, server);
  });
  await identity.ready;
  updates.restart({ svids: [await svid()] });
  await updates.whenOpened(2);
  await listener.close();
});

test("splitDer() cuts certificates apart and refuses what is cut off", async () => {
  const [a, b] = [await ca.leaf({ sans: mine }), await ca.leaf({ sans: mine })];
  const both = new Uint8Array([...a.der, ...b.der]);
  assert.deepEqual(
    splitDer(both).map((der) => der.length),
    [a.der.length, b.der.length],
  );
  assert.throws(() => splitDer(both.subarray(0, both.length - 1)));
  assert.throws(() => splitDer(new Uint8Array([0x30])));
  assert.deepEqual(splitDer(new Uint8Array()), []);
});
