import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { before, test } from "node:test";
import { type Issued, type SanEntry, TestCa } from "@heddle/testkit/ca";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { dnsId, parseId, uriId } from "./id.ts";
import { clientIdentity, hasIdentity, parseLeaf } from "./leaf.ts";
import { verifyServerIdentity, verifyUse } from "./verify.ts";

const SPIFFE = "spiffe://root.linkerd.cluster.local/ns/x/external/w";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

test("parseLeaf() reads names in order, validity, purposes and key, as OpenSSL does", async () => {
  const notBefore = new Date("2049-12-31T23:59:59Z");
  const notAfter = new Date("2050-01-01T00:00:00Z");
  const sans: SanEntry[] = [{ uri: SPIFFE }, { email: "a@b.test" }, { dns: "Foo.Bar" }];
  const { der } = await ca.leaf({ sans, notBefore, notAfter, purposes: ["client"] });
  const leaf = parseLeaf(der);
  const oracle = new X509Certificate(der);
  assert.deepEqual(leaf.sans, [
    { kind: "uri", value: SPIFFE },
    { kind: "dns", value: "Foo.Bar" },
  ]);
  assert.equal(leaf.notBeforeMs, notBefore.getTime());
  assert.equal(leaf.notAfterMs, notAfter.getTime());
  assert.deepEqual(leaf.extendedKeyUsage, oracle.keyUsage);
  assert.equal(leaf.serialNumber, oracle.serialNumber.toLowerCase());
  const key = oracle.publicKey.export({ type: "spki", format: "der" });
  assert.deepEqual(Buffer.from(leaf.publicKey), key);
  assert.deepEqual([leaf.keyType, leaf.isCa], ["ec-p256", false]);
});

test("parseLeaf() tells key types, authorities, and the absence of extensions", async () => {
  for (const keyType of ["ec-p384", "ed25519", "rsa"] as const) {
    const { der } = await ca.leaf({ keyType, purposes: [] });
    const leaf = parseLeaf(der);
    assert.deepEqual([leaf.keyType, leaf.extendedKeyUsage, leaf.sans], [keyType, undefined, []]);
  }
  assert.equal(parseLeaf(ca.der).isCa, true);
});

test("a client is who its first usable SAN says, a server whoever any of them says", async () => {
  const leaf = parseLeaf((await withSans({ dns: "a.b." }, { uri: SPIFFE }, { dns: "C.D" })).der);
  assert.equal(clientIdentity(leaf), SPIFFE);
  assert.deepEqual(
    [SPIFFE, "c.d", "a.b", "a.b."].map((id) => hasIdentity(leaf, id)),
    [true, true, false, false],
  );
  assert.equal(clientIdentity(parseLeaf((await withSans({ dns: "1.2.3.4" })).der)), undefined);
});

test("names with control bytes, blanks or more than ASCII refuse the certificate", async () => {
  const { der } = await withSans({ dns: "evil.test" }, { uri: "spiffe://td/x" });
  for (const name of ["evil.test", "spiffe://td/x"]) {
    for (const byte of [0, 9, 10, 13, 0x20, 0x7f, 0x80, 0xff]) {
      const bad = Buffer.from(der);
      bad[bad.indexOf(name) + 4] = byte;
      assert.throws(() => parseLeaf(bad), { code: "bad_certificate" }, `${name} ${byte}`);
    }
  }
});

test("what is not DER, or has something behind its end, is refused", async () => {
  const { der } = await withSans({ dns: "a.test" });
  const refused: Uint8Array[] = [
    new Uint8Array(0),
    Uint8Array.of(0x30),
    Uint8Array.of(0x30, 0x80, 0, 0),
    Uint8Array.of(0x30, 0x84, 0, 0, 0, 0),
    Uint8Array.of(0x30, 0x81, 0x10),
    Buffer.concat([der, Buffer.of(0)]),
    new Uint8Array(70_000).fill(0x30),
  ];
  for (const bytes of refused) assert.throws(() => parseLeaf(bytes), { code: "bad_certificate" });
  for (let length = 0; length < der.length; length++) {
    assert.throws(() => parseLeaf(der.subarray(0, length)), { code: "bad_certificate" });
  }
});

test("mutated certificates are read or refused, and never break the parser", async () => {
  const random = seededRandom(509);
  const { der } = await withSans({ dns: "a.test" }, { uri: SPIFFE });
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(der);
    for (let count = seededInt(random, 4); count >= 0; count--) {
      bytes[seededInt(random, bytes.length)] = seededInt(random, 256);
    }
    try {
      clientIdentity(parseLeaf(bytes));
    } catch (error) {
      assert.equal((error as { code?: string }).code, "bad_certificate", String(error));
    }
  }
});

test("an extension that stands twice is refused", async () => {
  const { der } = await withSans({ dns: "a.test" });
  const bytes = Buffer.from(der);
  // extKeyUsage becomes a second subjectAltName.
  bytes[bytes.indexOf(Buffer.of(0x55, 0x1d, 0x25)) + 2] = 0x11;
  assert.throws(() => parseLeaf(bytes), /stands twice/);
});

test("verifyUse() judges time and purpose by the role", async () => {
  const leaf = parseLeaf((await ca.leaf({ purposes: ["server"] })).der);
  verifyUse(leaf, "server", leaf.notBeforeMs);
  verifyUse(leaf, "server", leaf.notAfterMs);
  const late = { code: "certificate_expired", side: "server" };
  assert.throws(() => verifyUse(leaf, "server", leaf.notAfterMs + 1), late);
  assert.throws(() => verifyUse(leaf, "server", leaf.notBeforeMs - 1), late);
  const purpose = { code: "certificate_purpose", side: "client" };
  assert.throws(() => verifyUse(leaf, "client", leaf.notBeforeMs), purpose);
});

test("verifyServerIdentity() names what it found and what it wanted", async () => {
  const leaf = parseLeaf((await withSans({ dns: "a.test" })).der);
  verifyServerIdentity(leaf, "a.test", Date.now());
  const message = "Cannot accept a.test as b.test: certificate does not match TLS identity";
  assert.throws(() => verifyServerIdentity(leaf, "b.test", Date.now()), { message });
});

test("[E22] ids of both kinds are read and written back, and neither passes for the other", () => {
  for (const uri of [SPIFFE, "https://foo.bar/", "http://x.y/z?q", "spiffe://td/ns/a/sa/b"]) {
    assert.equal(parseId(uri), uri);
    assert.equal(dnsId(uri), undefined);
  }
  for (const dns of ["foo.ns1.serviceaccount.identity.linkerd.cluster.local", "a", "a_b.c-d"]) {
    assert.equal(parseId(dns), dns);
    assert.equal(uriId(dns), undefined);
  }
  assert.equal(parseId("FOO.Bar"), "foo.bar");
});

test("what is neither a DNS name nor a URI is no id", () => {
  const long = `${"a".repeat(63)}.`.repeat(4);
  const texts = [
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "-a",
    "a-",
    "a b",
    "1.2.3.4",
    "*.a",
    `${long}b`,
    "a\n.b",
  ];
  texts.push("//a/b", "spiffe:// a", "x".repeat(64), "sp\tiffe://a/b", "\u00e4.test");
  for (const text of texts) assert.throws(() => parseId(text), SyntaxError, JSON.stringify(text));
});

function withSans(...sans: SanEntry[]): Promise<Issued> {
  return ca.leaf({ sans });
}
