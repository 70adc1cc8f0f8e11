// @peculiar/x509 needs the metadata API when it is loaded.
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import * as x509 from "@peculiar/x509";
import {
  certificateName,
  cryptoProblem,
  expiryProblem,
  servingProblem,
  timeProblem,
} from "./certificates.ts";

type Algorithm = webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;

const ec = (namedCurve: string): Algorithm => ({ name: "ECDSA", namedCurve });
const rsa = (modulusLength: number, hash = "SHA-256"): Algorithm => ({
  name: "RSASSA-PKCS1-v1_5",
  hash,
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
});

async function keysOf(algorithm: Algorithm): Promise<webcrypto.CryptoKeyPair> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return keys as webcrypto.CryptoKeyPair;
}

async function certificate(
  own: Algorithm,
  hash: string,
  signer: Algorithm = own,
): Promise<X509Certificate> {
  const keys = await keysOf(own);
  const signing = signer === own ? keys : await keysOf(signer);
  const made = await x509.X509CertificateGenerator.create({
    subject: "CN=root.test",
    issuer: "CN=root.test",
    publicKey: keys.publicKey,
    signingKey: signing.privateKey,
    signingAlgorithm: { ...signer, hash },
  });
  return new X509Certificate(made.toString("pem"));
}

test("anchors are of ECDSA P-256 or RSA, issuers of ECDSA P-256, signed with SHA-256", async () => {
  const anchor = { mayBeRsa: true };
  const issuer = { mayBeRsa: false };
  for (const [made, asAnchor, asIssuer] of [
    [await certificate(ec("P-256"), "SHA-256"), undefined, undefined],
    [await certificate(ec("P-256"), "SHA-256", rsa(2048)), undefined, undefined],
    [await certificate(ec("P-256"), "SHA-384"), /is signed with/, /is signed with/],
    [await certificate(ec("P-384"), "SHA-256"), /on curve secp384r1/, /must be ECDSA P-256$/],
    [await certificate(rsa(2048), "SHA-256"), undefined, /key of type rsa/],
    [await certificate(rsa(4096), "SHA-256"), undefined, /key of type rsa/],
    [await certificate(rsa(3072), "SHA-256"), /3072 bits, not 2048 or 4096/, /type rsa/],
    [await certificate(rsa(2048, "SHA-512"), "SHA-512"), /is signed with/, /type rsa/],
    [await certificate(rsa(2048), "SHA-256", ec("P-256")), /is signed with/, /type rsa/],
  ] as const) {
    for (const [allowed, expected] of [
      [anchor, asAnchor],
      [issuer, asIssuer],
    ] as const) {
      const problem = cryptoProblem(made, allowed);
      if (expected === undefined) assert.equal(problem, undefined);
      else assert.match(problem ?? "", expected);
    }
  }
});

test("a certificate holds within its time, and ends soon if that is within 60 days", async () => {
  const ca = await TestCa.root();
  const day = 86_400_000;
  const { pem } = await ca.leaf({
    commonName: "web",
    notBefore: new Date(0),
    notAfter: new Date(100 * day),
  });
  const made = new X509Certificate(pem);
  assert.match(timeProblem(made, -1) ?? "", /not valid before 1970-01-01/);
  assert.equal(timeProblem(made, 0), undefined);
  assert.equal(timeProblem(made, 100 * day), undefined);
  assert.match(timeProblem(made, 100 * day + 1) ?? "", /expired on 1970-04-11/);
  assert.equal(expiryProblem(made, 40 * day), undefined);
  assert.match(expiryProblem(made, 40 * day + 1) ?? "", /expires on 1970-04-11/);
  assert.match(certificateName(made), /^[0-9a-f]+ web$/);
});

test("a serving certificate is believed by its name, its chain and its time", async () => {
  const root = await TestCa.root();
  const middle = await root.intermediate();
  const other = await TestCa.root("other.test");
  const host = "web.linkerd.svc";
  const parse = (...pems: readonly string[]): X509Certificate[] =>
    pems.map((pem) => new X509Certificate(pem));
  const leaf = await root.leaf({ sans: [{ dns: host }] });
  const below = await middle.leaf({ sans: [{ dns: host }] });
  const [, middlePem] = below.chainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  const foreign = await root.leaf({ sans: [{ dns: "other.linkerd.svc" }] });
  const named = await root.leaf({ commonName: host });
  // A leaf is no authority, whatever it signs.
  for (const [chain, roots, expected] of [
    [parse(leaf.pem), parse(root.pem), undefined],
    [parse(leaf.pem), parse(other.pem, root.pem), undefined],
    [parse(leaf.pem), parse(leaf.pem), undefined],
    [parse(below.pem, middlePem!), parse(root.pem), undefined],
    [parse(below.pem), parse(middlePem!), undefined],
    [parse(below.pem), parse(root.pem), /is signed by none of the CA bundle/],
    [parse(leaf.pem), parse(other.pem), /is signed by none of the CA bundle/],
    [parse(leaf.pem), [], /is signed by none of the CA bundle/],
    [parse(foreign.pem), parse(root.pem), /it is not for web\.linkerd\.svc/],
    [parse(named.pem), parse(root.pem), /it is not for web\.linkerd\.svc/],
    [[], parse(root.pem), /there is no certificate/],
  ] as const) {
    const problem = servingProblem({ chain, roots, host, nowMs: Date.now() });
    if (expected === undefined) assert.equal(problem, undefined);
    else assert.match(problem ?? "", expected);
  }
  const late = { chain: parse(leaf.pem), roots: parse(root.pem), host, nowMs: 4e12 };
  assert.match(servingProblem(late) ?? "", /expired on/);
});
