import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Identity } from "@heddle/api/gen/identity_pb";
import { type Clock, systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import {
  CONFIG_MAPS,
  EVENTS,
  NAMESPACES,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "@heddle/kube/types/core";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import type { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { Http2Client } from "@heddle/net/http2/client";
import { ApiStore } from "@heddle/testkit/api-store";
import { startControl } from "../main.ts";
import { ControlHost, controlSettings } from "../testing/control-host.ts";
import { newTestCsr } from "../testing/requests.ts";
import { createTrust } from "./bootstrap.ts";
import { parseCertificates } from "./chain.ts";

const WEB = "web.shop.serviceaccount.identity.linkerd.cluster.local";
const DAY_MS = 86_400_000;

let store: ApiStore;
let host: ControlHost;
let client: GrpcClient;
/** Added to the wall clock. */
let shiftMs = 0;
const clock: Clock = { nowMs: systemClock.nowMs, wallMs: () => systemClock.wallMs() + shiftMs };

before(async () => {
  store = await ApiStore.start();
  // Short, so that the timer's part can be seen.
  const env = { HEDDLE_CONTROL_IDENTITY_REFRESH: "20ms" };
  host = await ControlHost.start(store, { clock, env });
  client = await host.client("identity");
  await store.client.create(NAMESPACES, { metadata: { name: "shop" } });
  for (const name of ["web", "other", "dotted.name"]) {
    await store.client.create(SERVICE_ACCOUNTS, { metadata: { name, namespace: "shop" } });
  }
});

after(() => host?.[Symbol.asyncDispose]());

async function token(account = "web", audience = "identity.l5d.io"): Promise<Uint8Array> {
  return Buffer.from(await store.issueToken("shop", account, { audiences: [audience] }));
}

async function csrOf(name: string): Promise<Uint8Array> {
  return newTestCsr({ names: [{ type: "dns", value: name }], commonName: name });
}

interface Request {
  readonly identity?: string;
  readonly token?: Uint8Array;
  readonly certificateSigningRequest?: Uint8Array;
}

async function certify(
  request: Request = {},
): Promise<{ chain: X509Certificate[]; until: number }> {
  const { identity = WEB } = request;
  const answer = await client.unary(Identity.method.certify, {
    identity,
    token: request.token ?? (await token()),
    certificateSigningRequest: request.certificateSigningRequest ?? (await csrOf(identity)),
  });
  const ders = [answer.leafCertificate, ...answer.intermediateCertificates];
  const chain = ders.map((der) => new X509Certificate(der));
  return { chain, until: Number(answer.validUntil?.seconds) * 1_000 };
}

async function refusedWith(request: Request): Promise<GrpcStatus> {
  try {
    await certify(request);
  } catch (error) {
    return (error as GrpcError).status;
  }
  return GrpcStatus.ok;
}

test("Certify answers with a leaf in the token's name, its issuer, and its end", async () => {
  const { chain, until } = await certify();
  const [leaf, issuer] = chain;
  assert.equal(chain.length, 2);
  assert.equal(leaf!.subjectAltName, `DNS:${WEB}`);
  assert.ok(leaf!.verify(issuer!.publicKey));
  assert.equal(leaf!.validToDate.getTime(), until);
  assert.ok(issuer!.verify(new X509Certificate(host.trust.anchorsPem).publicKey));
  const lifeMs = until - leaf!.validFromDate.getTime();
  assert.equal(lifeMs, DAY_MS + 40_000);
});

test("[5/TL02] Certify refuses arguments that are missing or no request with InvalidArgument", async () => {
  const nothing = new Uint8Array();
  for (const request of [
    { identity: "" },
    { token: nothing },
    { certificateSigningRequest: nothing },
    { certificateSigningRequest: Buffer.from("not DER") },
  ]) {
    assert.equal(await refusedWith(request), GrpcStatus.invalidArgument);
  }
});

test("Certify refuses a name that is not the token's, or not the request's", async () => {
  const failed = GrpcStatus.failedPrecondition;
  assert.equal(await refusedWith({ token: await token("other") }), failed);
  const csr = await csrOf("other.shop.serviceaccount.identity.linkerd.cluster.local");
  assert.equal(await refusedWith({ certificateSigningRequest: csr }), failed);
});

test("Certify refuses tokens that are forged, for others, or of accounts with dots", async () => {
  const forged = await token();
  forged[forged.length - 3]! ^= 1;
  assert.notEqual(await refusedWith({ token: forged }), GrpcStatus.ok);
  assert.notEqual(await refusedWith({ token: Buffer.from("nonsense") }), GrpcStatus.ok);
  const foreign = await token("web", "somebody.else");
  assert.notEqual(await refusedWith({ token: foreign }), GrpcStatus.ok);
  const dotted = { identity: WEB, token: await token("dotted.name") };
  assert.equal(await refusedWith(dotted), GrpcStatus.failedPrecondition);
});

test("Certify takes a token for the API server itself, as old proxies have", async () => {
  const legacy = Buffer.from(await store.issueToken("shop", "web"));
  assert.equal((await certify({ token: legacy })).chain.length, 2);
});

test("an issued leaf is an Event of its service account", async () => {
  await certify();
  for (;;) {
    const events = await store.client.list(EVENTS, { namespace: "shop" });
    const event = events.items.find(({ reason }) => reason === "IssuedLeafCertificate");
    if (event === undefined) continue;
    assert.equal(event.type, "Normal");
    assert.deepEqual(
      [event.involvedObject.kind, event.involvedObject.name],
      ["ServiceAccount", "web"],
    );
    assert.match(event.message ?? "", /[0-9a-f]{64}$/);
    return;
  }
});

async function putIssuer(data: Readonly<Record<string, string>>): Promise<void> {
  const ref = { name: "linkerd-identity-issuer", namespace: "linkerd" };
  const encoded = Object.fromEntries(
    Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString("base64")]),
  );
  const secret = await store.client.get(SECRETS, ref);
  await store.client.update(SECRETS, { ...secret, data: encoded });
}

async function putAnchors(pem: string): Promise<void> {
  const ref = { name: "linkerd-identity-trust-roots", namespace: "linkerd" };
  const body = { data: { "ca-bundle.crt": pem } };
  await store.client.patch(CONFIG_MAPS, ref, { type: "merge", body });
}

/** Certifies until the issuer is another one. */
async function issuedBy(pem: string): Promise<void> {
  const wanted = new X509Certificate(pem).fingerprint256;
  while ((await certify()).chain[1]!.fingerprint256 !== wanted);
}

/** Waits for an Event about the control plane. */
async function eventOf(reason: string): Promise<string> {
  for (;;) {
    const { items } = await store.client.list(EVENTS, { namespace: "linkerd" });
    const found = items.find((event) => event.reason === reason);
    if (found !== undefined) return found.message ?? "";
  }
}

test("[NX01] anchors and issuer are replaced while we run; one that does not chain is not taken", async () => {
  const names = { controlNamespace: "linkerd", trustDomain: "cluster.local", clock };
  const other = await createTrust(names);
  // Not below our anchors yet: the old one stays.
  await putIssuer({ "crt.pem": other.issuerPem, "key.pem": other.issuerKeyPem });
  await eventOf("IssuerUpdateSkipped");
  await issuedBy(host.trust.issuerPem);
  // It issues, but not by what is stored.
  assert.match(host.control.problem() ?? "", /what is stored was refused/);
  await putAnchors(host.trust.anchorsPem + other.anchorsPem);
  await issuedBy(other.issuerPem);
  assert.equal(host.control.problem(), undefined);
  assert.match(await eventOf("IssuerUpdated"), /valid until/);
  // The names of cert-manager's Secrets are known as well.
  await putIssuer({ "tls.crt": host.trust.issuerPem, "tls.key": host.trust.issuerKeyPem });
  await issuedBy(host.trust.issuerPem);
});

test("an issuer that is not valid yet is taken as soon as it is", async () => {
  const hourMs = 3_600_000;
  const later: Clock = { ...clock, wallMs: () => clock.wallMs() + hourMs };
  const names = { controlNamespace: "linkerd", trustDomain: "cluster.local", clock: later };
  const other = await createTrust(names);
  await putAnchors(host.trust.anchorsPem + other.anchorsPem);
  await putIssuer({ "crt.pem": other.issuerPem, "key.pem": other.issuerKeyPem });
  while (host.control.problem() === undefined) await nextTurn();
  await issuedBy(host.trust.issuerPem);
  shiftMs = 2 * hourMs;
  try {
    await issuedBy(other.issuerPem);
    assert.equal(host.control.problem(), undefined);
  } finally {
    shiftMs = 0;
  }
  await putIssuer({ "crt.pem": host.trust.issuerPem, "key.pem": host.trust.issuerKeyPem });
  await issuedBy(host.trust.issuerPem);
  await putAnchors(host.trust.anchorsPem);
  while (host.control.problem() !== undefined) await nextTurn();
});

test("anchors that cannot be read leave the old ones in force, and us not ready until they are mended", async () => {
  const { anchorsPem } = host.trust;
  await putAnchors("-----BEGIN CERTIFICATE-----\n");
  while (host.control.problem() === undefined) await nextTurn();
  assert.match(host.control.problem() ?? "", /what is stored was refused.*trust anchors/);
  assert.equal((await certify()).chain.length, 2);
  await putAnchors(anchorsPem);
  while (host.control.problem() !== undefined) await nextTurn();
});

test("an issuer that ends soon is told of in good time, by event and by metric", async () => {
  shiftMs = 300 * DAY_MS;
  try {
    assert.match(await eventOf("IssuerExpiresSoon"), /the issuer expires on/);
  } finally {
    shiftMs = 0;
  }
  const [issuer] = parseCertificates(host.trust.issuerPem, "issuer");
  const seconds = Math.floor(issuer!.validToDate.getTime() / 1_000);
  const metric = "heddle_certificate_expiration_timestamp_seconds";
  assert.ok(host.control.metrics.expose().includes(`${metric}{kind="issuer"} ${seconds}`));
});

test("an expired issuer issues nothing, and does again when it is valid", async () => {
  shiftMs = 366 * DAY_MS;
  try {
    assert.equal(await refusedWith({}), GrpcStatus.unknown);
  } finally {
    shiftMs = 0;
  }
  assert.equal((await certify()).chain.length, 2);
});

test("[5/TL01] without an issuer Certify is Unavailable", async () => {
  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "identity",
    HEDDLE_CONTROL_NAMESPACE: "without-issuer",
  });
  using kube = store.controlClient();
  await using control = await startControl({
    settings,
    client: kube,
    log: Log.silent(),
    clock: systemClock,
  });
  const address = control.addresses.identity!;
  await using connection = new Http2Client(await dial({ address, timeoutMs: 5_000 }));
  const bare = new GrpcClient(connection, { authority: "identity" });
  await assert.rejects(
    bare.unary(Identity.method.certify, {
      identity: WEB,
      token: await token(),
      certificateSigningRequest: await csrOf(WEB),
    }),
    (error: GrpcError) => error.status === GrpcStatus.unavailable,
  );
  assert.match(control.problem() ?? "", /no issuer/);
});
