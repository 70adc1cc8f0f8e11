import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { newTestCsr } from "../testing/requests.ts";
import { checkCsr } from "./csr.ts";

const NAME = "web.ns.serviceaccount.identity.linkerd.cluster.local";
const DNS = { type: "dns", value: NAME } as const;

async function refusalOf(csr: Uint8Array): Promise<string> {
  try {
    await checkCsr(csr, NAME);
    return "accepted";
  } catch (error) {
    return (error as MeshError).code;
  }
}

test("checkCsr() takes one DNS name equal to the identity", async () => {
  const bare = await checkCsr(await newTestCsr({ names: [DNS] }), NAME);
  assert.equal(bare.commonName, undefined);
  const named = await checkCsr(await newTestCsr({ names: [DNS], commonName: NAME }), NAME);
  assert.equal(named.commonName, NAME);
  assert.ok(named.publicKey.length > 80);
});

for (const [what, options] of [
  ["no name", { names: [] }],
  ["another name", { names: [{ type: "dns", value: "other" }] }],
  ["two names", { names: [DNS, { type: "dns", value: "other" }] }],
  ["the name twice", { names: [DNS, DNS] }],
  ["an IP address besides", { names: [DNS, { type: "ip", value: "10.0.0.1" }] }],
  ["an e-mail address besides", { names: [DNS, { type: "email", value: "a@b" }] }],
  ["a URI besides", { names: [DNS, { type: "url", value: "spiffe://td/x" }] }],
  ["another common name", { names: [DNS], commonName: "other" }],
] as const) {
  test(`checkCsr() refuses ${what} with FailedPrecondition`, async () => {
    assert.equal(await refusalOf(await newTestCsr(options)), "failed_precondition");
  });
}

test("checkCsr() refuses a key that is no EC key with Internal", async () => {
  const csr = await newTestCsr({ names: [DNS], keyType: "rsa" });
  assert.equal(await refusalOf(csr), "internal");
});

test("checkCsr() refuses what is no request with InvalidArgument", async () => {
  const good = await newTestCsr({ names: [DNS] });
  for (const bytes of [
    new Uint8Array([0x30]),
    new Uint8Array([0x30, 0x80, 0, 0]),
    new Uint8Array([0x30, 0x03, 2, 1, 1]),
    Buffer.from("-----BEGIN CERTIFICATE REQUEST-----"),
    Buffer.concat([good, new Uint8Array([0])]),
    good.subarray(0, good.length - 1),
    new Uint8Array(100_000),
  ]) {
    assert.equal(await refusalOf(bytes), "invalid_argument");
  }
});

test("checkCsr() wants proof that its owner has the key", async () => {
  const csr = await newTestCsr({ names: [DNS] });
  csr[csr.length - 1]! ^= 1;
  assert.equal(await refusalOf(csr), "failed_precondition");
});

test("checkCsr() never lets through what was changed anywhere", async () => {
  const good = await newTestCsr({ names: [DNS], commonName: NAME });
  for (let at = 0; at < good.length; at++) {
    const bad = new Uint8Array(good);
    bad[at]! ^= 0x21;
    assert.notEqual(await refusalOf(bad), "accepted", `byte ${at}`);
  }
});
