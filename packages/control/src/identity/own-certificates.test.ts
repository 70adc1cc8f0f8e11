import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { systemClock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { createTrust } from "./bootstrap.ts";
import { loadIssuer } from "./issuer.ts";
import { OwnCertificates, type OwnIssuer } from "./own-certificates.ts";

const DAY_MS = 86_400_000;

interface World {
  readonly certificates: OwnCertificates;
  readonly issued: string[];
  readonly clock: { ms: number };
  readonly refuse: { next: MeshError | undefined };
  changed(): void;
}

async function setUp(names: readonly string[]): Promise<World> {
  const trust = await createTrust({
    controlNamespace: "linkerd",
    trustDomain: "td",
    clock: systemClock,
  });
  const issuer = await loadIssuer(trust.issuerPem, trust.issuerKeyPem);
  const issued: string[] = [];
  const clock = { ms: Date.now() };
  const refuse: World["refuse"] = { next: undefined };
  let changed = (): void => {};
  const own: OwnIssuer = {
    anchorsPem: trust.anchorsPem,
    onChange: (listener) => {
      changed = listener;
      return () => {};
    },
    issue: async (name, key) => {
      if (refuse.next !== undefined) throw refuse.next;
      issued.push(name);
      const publicKey = key.publicKey.export({ type: "spki", format: "der" });
      const request = { publicKey, name: { type: "dns", value: name } as const };
      const leaf = await issuer.issueLeaf({ ...request, lifetimeMs: DAY_MS, skewMs: 0 }, clock.ms);
      return { chain: [leaf.leaf, ...leaf.intermediates], notAfterMs: leaf.notAfterMs };
    },
  };
  const certificates = new OwnCertificates(own, names, {
    clock: { nowMs: () => clock.ms, wallMs: () => clock.ms },
    log: Log.silent(),
    onBug: (error) => {
      throw error;
    },
  });
  await certificates.renewDue();
  return { certificates, issued, clock, refuse, changed: () => changed() };
}

test("each name has a certificate of its own; unknown names get another's", async () => {
  const { certificates, issued } = await setUp(["a.test", "b.test"]);
  await using _ = certificates;
  await certificates.ready;
  assert.deepEqual(issued, ["a.test", "b.test"]);
  assert.equal(certificates.isReady, true);
  const own = certificates.terminator("a.test", "b.test");
  assert.notEqual(own, certificates.terminator("b.test", "a.test"));
  assert.equal(certificates.terminator("c.test", "a.test"), own);
  assert.equal(certificates.terminator("c.test", "d.test"), undefined);
});

test("a certificate is renewed at 70 % of its life, and when the issuer changes", async () => {
  const { certificates, issued, clock, changed } = await setUp(["a.test"]);
  await using _ = certificates;
  clock.ms += 0.69 * DAY_MS;
  await certificates.renewDue();
  assert.equal(issued.length, 1);
  clock.ms += 0.02 * DAY_MS;
  await certificates.renewDue();
  assert.equal(issued.length, 2);
  changed();
  await certificates.renewDue();
  assert.equal(issued.length, 3);
});

test("a clock that jumps back by an hour makes new certificates, one that jumps ahead too", async () => {
  const { certificates, issued, clock } = await setUp(["a.test"]);
  await using _ = certificates;
  clock.ms += 23 * 3_600_000;
  await certificates.renewDue();
  assert.equal(issued.length, 2);
  clock.ms -= 3_600_000;
  await certificates.renewDue();
  assert.equal(issued.length, 3);
  await certificates.renewDue();
  assert.equal(issued.length, 3);
});

test("while nobody issues, the old certificate stays until it expires, and we try again", async () => {
  const { certificates, issued, clock, refuse } = await setUp(["a.test"]);
  await using _ = certificates;
  refuse.next = new MeshError("unavailable", "control", "Cannot issue");
  clock.ms += 0.8 * DAY_MS;
  await certificates.renewDue();
  assert.equal(certificates.isReady, true);
  clock.ms += 0.3 * DAY_MS;
  await certificates.renewDue();
  assert.equal(certificates.isReady, false);
  refuse.next = undefined;
  clock.ms += 60_000;
  await certificates.renewDue();
  assert.equal(certificates.isReady, true);
  assert.equal(issued.length, 2);
});

test("a certificate that could not be had is asked for again two seconds later", {
  timeout: 30_000,
}, async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { certificates, issued, clock, refuse } = await setUp(["a.test"]);
  await using _ = certificates;
  clock.ms += DAY_MS;
  refuse.next = new MeshError("unreachable", "control", "Cannot reach identity: it starts, too");
  await certificates.renewDue();
  refuse.next = undefined;
  clock.ms += 2_000;
  t.mock.timers.tick(2_000);
  while (issued.length < 2) await setImmediate(undefined, { signal: t.signal });
});
