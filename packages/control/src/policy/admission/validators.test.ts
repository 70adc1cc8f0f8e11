import assert from "node:assert/strict";
import { test } from "node:test";
import {
  authorizationPolicyProblem,
  egressNetworkProblem,
  meshTlsAuthenticationProblem,
  networkAuthenticationProblem,
  serverAuthorizationProblem,
} from "./authentications.ts";
import { rateLimitProblem } from "./rate-limit.ts";

const group = "policy.linkerd.io";
const SERVER = { group, kind: "Server", name: "api" };
const TLS = { group, kind: "MeshTLSAuthentication", name: "tls" };
const NETWORK = { group, kind: "NetworkAuthentication", name: "net" };
const ACCOUNT = { kind: "ServiceAccount", name: "web" };

function denied(problem: string | undefined, path: string, cause: RegExp): void {
  assert.ok(problem?.startsWith(`${path}: `), `${problem} should be about ${path}`);
  assert.match(problem ?? "", cause);
}

test("an AuthorizationPolicy is for servers, routes and its own namespace", () => {
  const about = (targetRef: typeof SERVER | typeof ACCOUNT) =>
    authorizationPolicyProblem({ targetRef, requiredAuthenticationRefs: [] }, "ns");
  assert.equal(about(SERVER), undefined);
  assert.equal(about({ group, kind: "httproute", name: "r" }), undefined);
  assert.equal(about({ kind: "Namespace", name: "ns" }), undefined);
  denied(about({ kind: "Namespace", name: "other" }), "spec.targetRef.name", /other.*name ns/);
  denied(about({ group: "apps", kind: "Deployment", name: "d" }), "spec.targetRef", /apps\/Depl/);
});

test("an AuthorizationPolicy requires one authentication of a sort", () => {
  const path = "spec.requiredAuthenticationRefs";
  const about = (...requiredAuthenticationRefs: (typeof TLS | typeof ACCOUNT)[]) =>
    authorizationPolicyProblem({ targetRef: SERVER, requiredAuthenticationRefs }, "ns");
  assert.equal(about(), undefined);
  assert.equal(about(TLS, NETWORK), undefined);
  assert.equal(about(ACCOUNT, NETWORK), undefined);
  denied(about(TLS, TLS), path, /only one MeshTLSAuthentication/);
  denied(about(NETWORK, NETWORK), path, /only one NetworkAuthentication/);
  denied(about(ACCOUNT, ACCOUNT), path, /only one ServiceAccount/);
  denied(about(TLS, ACCOUNT), path, /exclude each other/);
  denied(about({ group: "apps", kind: "Deployment", name: "d" }), path, /apps\/Deployment/);
});

test("a MeshTLSAuthentication names identities, service accounts and namespaces", () => {
  const identities = ["*", "*.ns.example", "a.b", "spiffe://mesh.local/ns/a"];
  assert.equal(meshTlsAuthenticationProblem({ identities }), undefined);
  for (const bad of ["", "A.b", "a.*", "a_b", "spiffe://", "spiffe://d/a/", "spiffe://d/../a"]) {
    denied(
      meshTlsAuthenticationProblem({ identities: ["*", bad] }),
      "spec.identities[1]",
      /is no identity/,
    );
  }
  const about = (ref: { kind: string; name?: string; namespace?: string }) =>
    meshTlsAuthenticationProblem({ identityRefs: [ref] });
  assert.equal(about(ACCOUNT), undefined);
  assert.equal(about({ kind: "Namespace" }), undefined);
  denied(about({ kind: "Namespace", namespace: "x" }), "spec.identityRefs[0].namespace", /remove/);
  denied(about({ kind: "Pod", name: "p" }), "spec.identityRefs[0]", /core\/Pod/);
});

const isTaken = (identity: string): boolean =>
  meshTlsAuthenticationProblem({ identities: [identity] }) === undefined;

test("[UM13] [UM14] [UM15] [UM20] [UM21] DNS names, suffixes, everybody and SPIFFE ids are identities", () => {
  for (const identity of [
    "system.local",
    "*",
    "*.system.local",
    "spiffe://system.local",
    "spiffe://system.local/some/path",
  ]) {
    assert.ok(isTaken(identity), identity);
  }
});

test("[UM16] [UM17] [UM18] [UM19] a DNS identity has an asterisk in front only, and no empty label", () => {
  for (const identity of ["system.local.*", "system.local.", ".system.local", "system..local"]) {
    assert.ok(!isTaken(identity), identity);
  }
});

test("[UM22] [UM23] [UM24] [UM25] a SPIFFE id begins with its scheme and a trust domain", () => {
  for (const identity of [
    "http://system.local",
    "spiffe:/system.local",
    "spiffe:///some/path",
    "spiffe:system.local",
  ]) {
    assert.ok(!isTaken(identity), identity);
  }
});

test("[UM26] [UM27] [UM28] [UM29] a SPIFFE id has no query, fragment, port or user", () => {
  for (const identity of [
    "spiffe://system.local/a?query=1",
    "spiffe://system.local/a#fragment",
    "spiffe://system.local:80/a",
    "spiffe://user@system.local/a",
  ]) {
    assert.ok(!isTaken(identity), identity);
  }
});

test("[UM30] [UM31] [UM32] [UM33] [UM34] segments of a SPIFFE id are never empty nor dots", () => {
  for (const identity of [
    "spiffe://system.local/",
    "spiffe://system.local//a",
    "spiffe://system.local/a/b/",
    "spiffe://system.local/./a",
    "spiffe://system.local/a/../b",
  ]) {
    assert.ok(!isTaken(identity), identity);
  }
});

test("an except lies within its cidr and leaves something of it", () => {
  const about = (cidr: string, ...except: string[]) =>
    networkAuthenticationProblem({ networks: [{ cidr, except }] });
  assert.equal(about("10.0.0.0/8", "10.1.0.0/16", "10.2.3.4"), undefined);
  assert.equal(about("fd00::/8", "fd00::1"), undefined);
  const except = "spec.networks[0].except[0]";
  denied(about("10.0.0.0/8", "10.0.0.0/8"), except, /leaves nothing of cidr 10\.0\.0\.0\/8/);
  denied(about("10.1.0.0/16", "10.0.0.0/8"), except, /leaves nothing/);
  denied(about("10.0.0.0/8", "11.0.0.0/16"), except, /11\.0\.0\.0\/16 is not within/);
  denied(about("10.0.0.0/8", "::/96"), except, /not within/);
  denied(about("10.0.0.0/8", "x"), except, /no network/);
  denied(about("10.0.0.0/33"), "spec.networks[0].cidr", /no network/);
  denied(networkAuthenticationProblem({ networks: [] }), "spec.networks", /empty/);
});

test("an EgressNetwork has all networks or some, never none", () => {
  const trafficPolicy = "Allow" as const;
  assert.equal(egressNetworkProblem({ trafficPolicy }), undefined);
  denied(egressNetworkProblem({ trafficPolicy, networks: [] }), "spec.networks", /empty/);
  const networks = [{ cidr: "10.0.0.0/8", except: ["0.0.0.0/0"] }];
  denied(
    egressNetworkProblem({ trafficPolicy, networks }),
    "spec.networks[0].except[0]",
    /leaves nothing/,
  );
});

test("a ServerAuthorization's clients are not named and nameless at once", () => {
  const about = (client: Parameters<typeof serverAuthorizationProblem>[0]["client"]) =>
    serverAuthorizationProblem({ server: { name: "api" }, client });
  assert.equal(about({ networks: [], unauthenticated: true }), undefined);
  assert.equal(about({ meshTLS: { unauthenticatedTLS: true } }), undefined);
  assert.equal(about({ networks: [{ cidr: "10.1.2.3" }] }), undefined);
  denied(about({ unauthenticated: true, meshTLS: {} }), "spec.client", /exclude each other/);
  const identities = ["*"];
  const serviceAccounts = [{ name: "web" }];
  for (const named of [{ identities }, { serviceAccounts }]) {
    denied(
      about({ meshTLS: { unauthenticatedTLS: true, ...named } }),
      "spec.client.meshTLS",
      /exc/,
    );
  }
  denied(about({ networks: [{ cidr: "x" }] }), "spec.client.networks[0].cidr", /no network/);
});

test("parts of a rate limit are above 0 and not above its total", () => {
  const limit = (requestsPerSecond: number) => ({ requestsPerSecond });
  const total = limit(10);
  const targetRef = SERVER;
  const over = (rate: number, ref: typeof ACCOUNT = ACCOUNT) => ({
    targetRef,
    total,
    overrides: [{ requestsPerSecond: rate, clientRefs: [ref] }],
  });
  assert.equal(rateLimitProblem({ ...over(10), identity: total }), undefined);
  denied(rateLimitProblem({ targetRef: ACCOUNT }), "spec.targetRef", /name a Server/);
  denied(rateLimitProblem({ targetRef, total: limit(0) }), "spec.total.requestsPerSecond", /is 0/);
  for (const rate of [0, 11]) {
    const identity = "spec.identity.requestsPerSecond";
    denied(rateLimitProblem({ targetRef, total, identity: limit(rate) }), identity, /is 0|above/);
    denied(rateLimitProblem(over(rate)), "spec.overrides[0].requestsPerSecond", /is 0|above/);
  }
  const namespace = { kind: "Namespace", name: "web" };
  denied(rateLimitProblem(over(1, namespace)), "spec.overrides[0].clientRefs[0]", /ServiceAccount/);
});

test("a message does not repeat a long value whole", () => {
  const problem = meshTlsAuthenticationProblem({ identities: [`${"a".repeat(1e6)}!`] });
  assert.ok(problem !== undefined && problem.length < 500);
});
