import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { joinMesh } from "@heddle/agent/join";
import { type Membership, StateFolder } from "@heddle/agent/state";
import { type Clock, systemClock } from "@heddle/base/clock";
import { ControlHost } from "@heddle/control/testing/control-host";
import { CONFIG_MAPS, SECRETS } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import { type JoinToken, parseJoinToken } from "@heddle/model/join-token";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { runInProcess } from "./testing/run.ts";

// Tokens from `heddle invite`, over TLS to a whole control plane.

const NAMESPACE = "default";

/** The control plane's clock, which tests may put ahead. */
let aheadMs = 0;
const controlClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  wallMs: () => systemClock.wallMs() + aheadMs,
};
let store: ApiStore;
let host: ControlHost;
let folder: string;
let machines = 0;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "heddle-join-"));
  store = await ApiStore.start();
  const env = { HEDDLE_CONTROL_LISTEN_IP: "127.79.1.1", HEDDLE_LOOPBACK_MESH: "127.79.0.0/16" };
  host = await ControlHost.start(store, { env, clock: controlClock });
});

after(async () => {
  // Not there if no test of this file was asked for.
  if (host === undefined) return;
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** What `heddle invite` prints, for a machine of a name that nobody has. */
async function invite(name = `vm-${++machines}`): Promise<JoinToken> {
  const args = ["invite", "--name", name, "--service-port", "80:http"];
  const { code, out } = await runInProcess(args, {
    KUBECONFIG: join(store.folder, "admin.kubeconfig"),
  });
  assert.equal(code, 0);
  return parseJoinToken(out.split("\n")[0]!);
}

async function joinWith(token: JoinToken, state = newState()): Promise<Membership> {
  return await joinMesh({
    token,
    state,
    ip: "127.79.1.9",
    mode: "rootless",
    listeners: [],
    allowBypass: true,
    loopbackMesh: "127.79.0.0/16",
    clock: systemClock,
    signal: AbortSignal.timeout(20_000),
  });
}

let states = 0;
function newState(): StateFolder {
  return new StateFolder(join(folder, `state-${++states}`));
}

async function registered(): Promise<string[]> {
  const { items } = await store.client.list(EXTERNAL_WORKLOADS);
  return items.map(({ metadata }) => metadata.name ?? "").sort();
}

/** The join fails for this reason, and leaves nothing, neither here nor in the store. */
async function assertRefused(token: JoinToken, reason: RegExp): Promise<void> {
  const before = await registered();
  const state = newState();
  await assert.rejects(joinWith(token, state), (error: Error) => {
    assert.match(error.message, reason);
    assert.doesNotMatch(error.message, new RegExp(token.secret), "the secret is told");
    return true;
  });
  assert.deepEqual(await registered(), before);
  assert.deepEqual(existsSync(state.path) ? readdirSync(state.path) : [], []);
}

test("a token lets its machine in under its SPIFFE id, with a key that it made itself", async () => {
  const token = await invite();
  const state = newState();
  const membership = await joinWith(token, state);
  assert.equal(membership.spiffeId, `spiffe://cluster.local/ns/default/external/${token.name}`);
  assert.deepEqual(await registered(), [token.name]);
  const machine = await store.client.get(EXTERNAL_WORKLOADS, {
    namespace: NAMESPACE,
    name: token.name,
  });
  assert.equal(machine.spec.meshTLS.identity, membership.spiffeId);
  assert.deepEqual(machine.spec.ports, [{ name: "http", port: 80, protocol: "TCP" }]);
  assert.deepEqual(machine.spec.workloadIPs, [{ ip: "127.79.1.9" }]);
  const leaf = new X509Certificate(readFileSync(state.svid));
  assert.equal(leaf.subjectAltName, `URI:${membership.spiffeId}`);
  const key = createPublicKey(readFileSync(state.key));
  assert.ok(leaf.publicKey.equals(key));
  for (const name of readdirSync(state.path)) {
    assert.equal(statSync(join(state.path, name)).mode & 0o777, 0o600, name);
  }
});

test("a token that was used is refused, and so is one that the store never saw", async () => {
  const token = await invite();
  await joinWith(token);
  await assertRefused(token, /unknown, was changed, or was used already; ask for another one/);
  const unknown = { ...(await invite()), id: "0".repeat(16) };
  await assertRefused(unknown, /unknown, was changed, or was used already/);
});

test("a token that was changed in any part is refused, and its invitation stays good", async () => {
  const token = await invite();
  const changed: readonly (readonly [Partial<JoinToken>, RegExp])[] = [
    [{ secret: `${token.secret}x` }, /was changed/],
    [{ name: "vm-99" }, /was changed/],
    [{ namespace: "kube-system" }, /was changed/],
    [{ trustDomain: "other.example" }, /was changed/],
    [{ network: "other" }, /was changed/],
    [{ ports: [] }, /was changed/],
    [{ expires: token.expires + 3_600 }, /was changed/],
    [{ addresses: [...token.addresses, "127.79.1.2:1"] }, /was changed/],
    [{ serverName: "identity.linkerd.cluster.local" }, /identity\.linkerd\.cluster\.local/],
    [{ fingerprint: "ab".repeat(32) }, /is not the one that the token names/],
  ];
  assert.deepEqual(
    new Set(Object.keys(token)),
    new Set(["id", ...changed.flatMap(([part]) => Object.keys(part))]),
  );
  for (const [part, reason] of changed) await assertRefused({ ...token, ...part }, reason);
  await joinWith(token);
});

test("an expired token is refused, by the machine's clock and by the control plane's", async () => {
  const token = await invite();
  await assertRefused({ ...token, expires: 1_700_000_000 }, /expired at 2023-11-14T22:13:20/);
  aheadMs = 3_601_000;
  try {
    await assertRefused(token, /expired at .*; ask for another one/);
  } finally {
    aheadMs = 0;
  }
});

test("of many joins with one token at once exactly one wins", async () => {
  const token = await invite();
  const joins = Array.from({ length: 8 }, () => joinWith(token));
  const results = await Promise.allSettled(joins);
  const refused = results.filter((result) => result.status === "rejected");
  assert.equal(refused.length, 7);
  for (const { reason } of refused) {
    assert.match(String(reason), /used already|used by somebody else|is registered/);
  }
  assert.ok((await registered()).includes(token.name));
  const { items } = await store.client.list(SECRETS, { labelSelector: "heddle.dev/invite=true" });
  assert.ok(!items.some(({ metadata }) => metadata.name?.endsWith(token.id)));
});

test("invite refuses a name that is taken, and so does the join of an older invitation", async () => {
  const name = "twin";
  const [first, second] = [await invite(name), await invite(name)];
  await joinWith(first);
  await assertRefused(second, /a machine of that name is registered; run "heddle leave" on it/);
});

test("of several addresses the next is tried where nobody answers", async () => {
  const { addresses } = await invite();
  const dead = await deadAddress();
  // The control plane advertises both, so the token is whole.
  const ref = { namespace: "linkerd", name: "heddle-expansion" };
  const advertise = async (list: readonly string[]): Promise<void> => {
    const body = { data: { addresses: list.join(",") } };
    await store.client.patch(CONFIG_MAPS, ref, { type: "merge", body });
  };
  await advertise([dead, ...addresses]);
  try {
    const token = await invite();
    assert.deepEqual(token.addresses, [dead, ...addresses]);
    const membership = await joinWith(token);
    assert.deepEqual(membership.expansion.addresses, token.addresses);
  } finally {
    await advertise(addresses);
  }
});

test("a control plane of another mesh is not asked", async () => {
  const token = await invite();
  await using other = await ControlHost.start(await ApiStore.start(), {
    env: { HEDDLE_CONTROL_LISTEN_IP: "127.79.1.2", HEDDLE_LOOPBACK_MESH: "127.79.0.0/16" },
  });
  const { ip, port } = other.address("expansion");
  const stray = { ...token, addresses: [`${ip}:${port}`] };
  await assertRefused(stray, /the certificate authority that answered is not the one/);
  await joinWith(token);
});

for (const [what, isAnchorShown, reason] of [
  ["with a CA of its own", false, /is not the one that the token names/],
  ["that shows the mesh's anchor beside a leaf of another CA", true, /CERT_SIGNATURE_FAILURE/],
] as const) {
  test(`a server ${what} gets not one byte of the token`, async () => {
    const token = await invite();
    const anchor = new X509Certificate(host.trust.anchorsPem);
    const rogue = await TestCa.root(anchor.subject.replace("CN=", ""));
    const leaf = await rogue.leaf({ sans: [{ dns: token.serverName }] });
    const received: Buffer[] = [];
    const cert = `${leaf.pem}\n${isAnchorShown ? host.trust.anchorsPem : rogue.pem}`;
    const server = tls.createServer({ cert, key: leaf.keyPem, ALPNProtocols: ["h2"] }, (socket) => {
      socket.on("data", (data: Buffer) => received.push(data)).on("error", () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, "127.79.1.2", resolve));
    try {
      const { port } = server.address() as { port: number };
      await assertRefused({ ...token, addresses: [`127.79.1.2:${port}`] }, reason);
      assert.equal(Buffer.concat(received).toString(), "");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
}

/** An address of the loopback at which nobody listens. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, "127.79.1.7");
  await new Promise((resolve) => server.once("listening", resolve));
  const { address, port } = server.address() as { address: string; port: number };
  await new Promise((resolve) => server.close(resolve));
  return `${address}:${port}`;
}
