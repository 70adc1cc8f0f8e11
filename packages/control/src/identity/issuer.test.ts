import "reflect-metadata";
import assert from "node:assert/strict";
import {
  createPrivateKey,
  generateKeyPairSync,
  KeyObject,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import type { MeshError } from "@heddle/base/errors";
import { peerIdentity } from "@heddle/net/peer-identity";
import { Credentials } from "@heddle/net/tls-credentials";
import { dialMesh, MeshServer } from "@heddle/testkit/mesh-ends";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { createTrust, type Trust } from "./bootstrap.ts";
import { chainProblem, parseCertificates } from "./chain.ts";
import { type Issuer, loadIssuer } from "./issuer.ts";

const NAMES = { controlNamespace: "linkerd", trustDomain: "cluster.local", clock: systemClock };
const NAME = "web.ns.serviceaccount.identity.linkerd.cluster.local";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

async function newTrust(options: object = {}): Promise<{ trust: Trust; issuer: Issuer }> {
  const trust = await createTrust({ ...NAMES, ...options });
  return { trust, issuer: await loadIssuer(trust.issuerPem, trust.issuerKeyPem) };
}

function newKey(): Uint8Array {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return publicKey.export({ type: "spki", format: "der" });
}

async function newRsaAuthority(
  type: "pkcs1" | "pkcs8",
): Promise<{ certificatePem: string; keyPem: string }> {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2_048,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ["rsa"] }],
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const keyPem = KeyObject.from(keys.privateKey).export({ type, format: "pem" }).toString();
  return { certificatePem: certificate.toString("pem"), keyPem };
}

test("[5/TL05] [5/TL06] a leaf says what was asked for, and its chain leads to the anchors", async () => {
  const { trust, issuer } = await newTrust();
  const now = Math.floor(Date.now() / 1000) * 1000;
  const issued = await issuer.issueLeaf(
    {
      publicKey: newKey(),
      name: { type: "dns", value: NAME },
      commonName: NAME,
      lifetimeMs: DAY_MS,
      skewMs: 20_000,
    },
    now,
  );
  const leaf = new X509Certificate(issued.leaf);
  assert.equal(leaf.subject, `CN=${NAME}`);
  assert.equal(leaf.subjectAltName, `DNS:${NAME}`);
  assert.equal(leaf.ca, false);
  assert.deepEqual(leaf.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(leaf.validFromDate.getTime(), now - 20_000);
  assert.equal(leaf.validToDate.getTime(), now + DAY_MS + 20_000);
  assert.equal(issued.notAfterMs, now + DAY_MS + 20_000);
  const [own] = issuer.certificates;
  assert.deepEqual(issued.intermediates, [new Uint8Array(own!.raw)]);
  assert.ok(leaf.checkIssued(own!) && leaf.verify(own!.publicKey));
  const [anchor] = parseCertificates(trust.anchorsPem, "anchors");
  assert.ok(own!.checkIssued(anchor!) && own!.verify(anchor!.publicKey));
  assert.match(leaf.toString(), /-----BEGIN CERTIFICATE-----/);
});

test("a SPIFFE id is the only name of its leaf, and critical", async () => {
  const { issuer } = await newTrust();
  const value = "spiffe://cluster.local/ns/n/external/w";
  const request = {
    publicKey: newKey(),
    name: { type: "url", value } as const,
    lifetimeMs: DAY_MS,
    skewMs: 0,
  };
  const { leaf } = await issuer.issueLeaf(request, Date.now());
  const certificate = new X509Certificate(leaf);
  assert.equal(certificate.subject, undefined);
  assert.equal(certificate.subjectAltName, `URI:${value}`);
});

test("[5/TL03] a leaf ends with the first of its issuers", async () => {
  const { issuer } = await newTrust({ issuerDays: 1 });
  const now = Date.now();
  const request = {
    publicKey: newKey(),
    name: { type: "dns", value: NAME } as const,
    lifetimeMs: 10 * DAY_MS,
    skewMs: 0,
  };
  const { notAfterMs } = await issuer.issueLeaf(request, now);
  assert.equal(notAfterMs, issuer.expiresMs);
  await assert.rejects(
    issuer.issueLeaf(request, issuer.expiresMs),
    (error: MeshError) => error.code === "issuer_expired",
  );
});

test("[NX04] below a root of RSA, leaves of two workloads shake hands", async () => {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2_048,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const rootKeys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const authority = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
  ];
  const root = await X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ["rsa root"] }],
    keys: rootKeys,
    signingAlgorithm: algorithm,
    extensions: authority,
  });
  const ec = { name: "ECDSA", namedCurve: "P-256" } as const;
  const keys = await webcrypto.subtle.generateKey(ec, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.create({
    subject: [{ CN: ["issuer"] }],
    issuer: root.subjectName,
    publicKey: keys.publicKey,
    signingKey: rootKeys.privateKey,
    signingAlgorithm: algorithm,
    extensions: authority,
  });
  const pemOfKey = (key: KeyObject): string =>
    key.export({ type: "pkcs8", format: "pem" }).toString();
  const issuer = await loadIssuer(
    certificate.toString("pem"),
    pemOfKey(KeyObject.from(keys.privateKey)),
  );
  const anchors = parseCertificates(root.toString("pem"), "anchors");
  assert.equal(issuer.problem(anchors, Date.now()), undefined);
  const credentialsOf = async (value: string): Promise<Credentials> => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const request = {
      publicKey: new Uint8Array(publicKey.export({ type: "spki", format: "der" })),
      name: { type: "dns", value } as const,
      lifetimeMs: HOUR_MS,
      skewMs: 20_000,
    };
    const { leaf, intermediates } = await issuer.issueLeaf(request, Date.now());
    const chain = [leaf, ...intermediates].map((der) => new X509Certificate(der).toString());
    return new Credentials({
      anchors: root.toString("pem"),
      certificate: chain.join(""),
      privateKey: pemOfKey(privateKey),
    });
  };
  const serverName = `server.${NAME}`;
  const credentials = await credentialsOf(serverName);
  await using server = await MeshServer.start({ credentials, serverName });
  const near = await dialMesh(server, await credentialsOf(NAME), serverName);
  const far = await server.next();
  assert.equal(peerIdentity(near), serverName);
  assert.equal(peerIdentity(far.socket!), NAME);
  near.destroy();
});

test("serials differ, also between two loads of the same issuer", async () => {
  const { trust } = await newTrust();
  const request = {
    publicKey: newKey(),
    name: { type: "dns", value: NAME } as const,
    lifetimeMs: DAY_MS,
    skewMs: 0,
  };
  const serials = new Set<string>();
  for (let load = 0; load < 3; load++) {
    const issuer = await loadIssuer(trust.issuerPem, trust.issuerKeyPem);
    for (let i = 0; i < 3; i++) {
      const { leaf, serial } = await issuer.issueLeaf(request, Date.now());
      assert.equal(new X509Certificate(leaf).serialNumber.toLowerCase(), serial);
      serials.add(serial);
    }
  }
  assert.equal(serials.size, 9);
});

for (const type of ["pkcs8", "sec1"] as const) {
  test(`[5/TL04] an EC key is taken as ${type}`, async () => {
    const { trust } = await newTrust();
    const pem = createPrivateKey(trust.issuerKeyPem).export({ type, format: "pem" }).toString();
    assert.match(pem, type === "sec1" ? /BEGIN EC PRIVATE KEY/ : /BEGIN PRIVATE KEY/);
    assert.equal((await loadIssuer(trust.issuerPem, pem)).certificates.length, 1);
  });
}

for (const type of ["pkcs8", "pkcs1"] as const) {
  test(`[5/TL04] an RSA key is taken as ${type}, and signs`, async () => {
    const authority = await newRsaAuthority(type);
    const issuer = await loadIssuer(authority.certificatePem, authority.keyPem);
    const request = { publicKey: newKey(), name: { type: "dns", value: NAME } as const };
    const { leaf } = await issuer.issueLeaf(
      { ...request, lifetimeMs: HOUR_MS, skewMs: 0 },
      Date.now(),
    );
    assert.ok(new X509Certificate(leaf).verify(issuer.certificates[0]!.publicKey));
  });
}

test("a key that is none, or another's, is refused", async () => {
  const { trust } = await newTrust();
  const { trust: other } = await newTrust();
  const isBadKey = (error: MeshError): boolean => error.code === "bad_issuer_key";
  await assert.rejects(loadIssuer(trust.issuerPem, "nothing"), isBadKey);
  await assert.rejects(loadIssuer(trust.issuerPem, other.issuerKeyPem), isBadKey);
  await assert.rejects(
    loadIssuer("no pem", trust.issuerKeyPem),
    (error: MeshError) => error.code === "bad_certificate",
  );
});

test("[5/TL07] chainProblem() says why an issuer may not issue", async () => {
  const { trust, issuer } = await newTrust({ issuerDays: 10 });
  const { trust: other } = await newTrust();
  const anchors = parseCertificates(trust.anchorsPem, "anchors");
  const now = Date.now();
  assert.equal(issuer.problem(anchors, now), undefined);
  assert.match(issuer.problem(anchors, now + 11 * DAY_MS) ?? "", /expired on/);
  assert.match(issuer.problem(anchors, now - HOUR_MS) ?? "", /not valid yet/);
  const foreign = parseCertificates(other.anchorsPem, "anchors");
  assert.match(issuer.problem(foreign, now) ?? "", /signed by no trust anchor/);
  // Both at once, as during a rotation of anchors.
  assert.equal(issuer.problem([...foreign, ...anchors], now), undefined);
  // Self-signed, as `linkerd install` makes them: anchor and issuer in one.
  assert.equal(chainProblem(anchors, anchors, now), undefined);
  const { leaf } = await issuer.issueLeaf(
    { publicKey: newKey(), name: { type: "dns", value: NAME }, lifetimeMs: HOUR_MS, skewMs: 0 },
    now,
  );
  assert.match(
    chainProblem([new X509Certificate(leaf), ...issuer.certificates], anchors, now) ?? "",
    /is not a CA certificate/,
  );
  assert.match(chainProblem([], anchors, now) ?? "", /no certificate/);
  // What is remembered holds up to the very moment at which something begins or ends to be valid.
  const own = issuer.certificates[0]!;
  for (const edge of [own.validFromDate, own.validToDate, anchors[0]!.validToDate]) {
    for (const offset of [-1000, -1, 0, 1, 1000, 0, -1]) {
      const at = edge.getTime() + offset;
      assert.equal(issuer.problem(anchors, at), chainProblem(issuer.certificates, anchors, at));
    }
  }
});
