import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { JsonObject } from "@heddle/apiserver/json/value";
import type { Clock } from "@heddle/base/clock";
import { TestClient } from "./testing/client.ts";
import { type Fixture, startFixture } from "./testing/fixture.ts";

const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";

class SteppedClock implements Clock {
  #wallMs = Date.UTC(2030, 0, 1);
  nowMs(): number {
    return this.#wallMs;
  }
  wallMs(): number {
    return this.#wallMs;
  }
  advance(ms: number): void {
    this.#wallMs += ms;
  }
}

async function account({ admin }: Fixture, name: string): Promise<void> {
  const { code } = await admin.post(ACCOUNTS, { metadata: { name } });
  assert.equal(code, 201);
}

async function tokenOf(fixture: Fixture, name: string, spec: JsonObject = {}): Promise<string> {
  const { code, body, text } = await fixture.admin.post(`${ACCOUNTS}/${name}/token`, { spec });
  assert.equal(code, 201, text);
  return (body["status"] as { token: string }).token;
}

async function review(
  { admin }: Fixture,
  token: string,
  ...audiences: string[]
): Promise<{
  authenticated?: boolean;
  error?: string;
  user: { username?: string; groups?: string[] };
}> {
  const { code, body } = await admin.post(REVIEWS, { spec: { token, audiences } });
  assert.equal(code, 201);
  return body["status"] as unknown as Awaited<ReturnType<typeof review>>;
}

test("server shows strangers its health and version, and nothing else", async () => {
  await using fixture = await startFixture();
  const nobody = fixture.as();
  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    assert.equal((await nobody.get(path)).code, 200, path);
  }
  for (const path of [
    "/api",
    "/apis",
    "/api/v1/pods",
    "/openapi/v3",
    "/metrics",
    "/healthz/../api",
  ]) {
    const { code, body } = await nobody.get(path);
    assert.equal(code, 401, path);
    assert.equal(body["reason"], "Unauthorized");
  }
  assert.equal((await nobody.post("/healthz", {})).code, 403);
});

test("server refuses tokens that are wrong, and never takes them for none", async () => {
  await using fixture = await startFixture();
  for (const token of ["wrong", "a.b.c", `${fixture.server.adminToken}x`]) {
    assert.equal((await fixture.as(token).get("/api/v1/pods")).code, 401);
    assert.equal((await fixture.as(token).get("/healthz")).code, 401);
  }
  const basic = await fixture
    .as()
    .get("/api/v1/pods", { headers: { authorization: "Basic YTpi" } });
  assert.equal(basic.code, 401);
});

test("server knows clients by certificates of its own authority", async () => {
  await using fixture = await startFixture();
  const { server } = fixture;
  const client = async (user: string, groups: string[]): Promise<TestClient> => {
    const certificate = await server.issueClientCertificate({ user, groups });
    return new TestClient({ url: server.url, caPem: server.caPem, certificate });
  };
  using boss = await client("boss", ["system:masters"]);
  assert.equal((await boss.get("/api/v1/pods")).code, 200);
  using guest = await client("guest", ["visitors"]);
  assert.equal((await guest.get("/api/v1/pods")).code, 403);
  await using other = await startFixture();
  const foreign = await other.server.issueClientCertificate({
    user: "boss",
    groups: ["system:masters"],
  });
  using stranger = new TestClient({ url: server.url, caPem: server.caPem, certificate: foreign });
  assert.equal((await stranger.get("/api/v1/pods")).code, 401);
});

test("server refuses a client certificate that has expired", async () => {
  const clock = new SteppedClock();
  // Issued by a clock in the past: node:tls judges by the machine's.
  clock.advance(Date.now() - clock.wallMs() - 86_400_000);
  await using fixture = await startFixture({ clock });
  const { server } = fixture;
  const certificate = await server.issueClientCertificate({
    user: "boss",
    groups: ["system:masters"],
    lifeMs: 3_600_000,
  });
  using late = new TestClient({ url: server.url, caPem: server.caPem, certificate });
  assert.equal((await late.get("/api/v1/pods")).code, 401);
});

test("server speaks TLS 1.3 only", async () => {
  await using fixture = await startFixture();
  const { port } = new URL(fixture.server.url);
  const old = connectTls({
    port: Number(port),
    host: "127.0.0.1",
    ca: fixture.server.caPem,
    maxVersion: "TLSv1.2",
  });
  await assert.rejects(once(old, "secureConnect"), /protocol version/);
  const plain = connect(Number(port), "127.0.0.1");
  plain.on("error", () => {});
  plain.end("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  let text = "";
  plain.on("data", (chunk) => {
    text += String(chunk);
  });
  await once(plain, "close");
  assert.doesNotMatch(text, /200 OK/);
});

test("server writes its secrets so that only their owner reads them", async () => {
  await using fixture = await startFixture();
  for (const file of ["vault.json", "store.sqlite", "admin.kubeconfig", "control.kubeconfig"]) {
    assert.equal(statSync(join(fixture.dataDir, file)).mode & 0o777, 0o600, file);
  }
  const text = readFileSync(join(fixture.dataDir, "admin.kubeconfig"), "utf8");
  assert.equal(text, fixture.server.adminKubeconfig());
});

test("TokenReview knows a service account by its token, for the token's audience only", async () => {
  await using fixture = await startFixture();
  await account(fixture, "web");
  const token = await tokenOf(fixture, "web", { audiences: ["identity.l5d.io"] });
  const good = await review(fixture, token, "identity.l5d.io");
  assert.equal(good.authenticated, true);
  assert.equal(good.user.username, "system:serviceaccount:default:web");
  assert.ok(good.user.groups?.includes("system:serviceaccounts:default"));
  const wrong = await review(fixture, token);
  assert.equal(wrong.authenticated, undefined);
  assert.match(wrong.error ?? "", /token audiences/);
});

test("TokenReview refuses tokens that are tampered with, unsigned, or signed by others", async () => {
  await using fixture = await startFixture();
  await using other = await startFixture();
  await account(fixture, "web");
  await account(other, "web");
  const token = await tokenOf(fixture, "web");
  const [head = "", body = "", signature = ""] = token.split(".");
  const encode = (value: object): string =>
    Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as JsonObject;
  const { kid } = JSON.parse(Buffer.from(head, "base64url").toString()) as { kid: string };
  const forged = encode({ ...claims, sub: "system:serviceaccount:kube-system:admin" });
  const none = encode({ alg: "none", kid });
  const hmacHead = encode({ alg: "HS256", kid });
  const hmac = createHmac("sha256", fixture.server.caPem).update(`${hmacHead}.${body}`);
  for (const bad of [
    `${head}.${forged}.${signature}`,
    `${none}.${body}.`,
    `${hmacHead}.${body}.${hmac.digest("base64url")}`,
    `${head}.${body}.${signature.slice(0, -2)}`,
    await tokenOf(other, "web"),
    "",
    "x".repeat(100_000),
  ]) {
    const { authenticated, error } = await review(fixture, bad);
    assert.equal(authenticated, undefined);
    assert.match(error ?? "", /invalid bearer token/);
  }
  assert.equal((await review(fixture, token)).authenticated, true);
});

test("TokenReview refuses a token after its time, also when it was seen good before", async () => {
  const clock = new SteppedClock();
  clock.advance(Date.now() - clock.wallMs());
  await using fixture = await startFixture({ clock });
  await account(fixture, "web");
  const token = await tokenOf(fixture, "web", { expirationSeconds: 600 });
  assert.equal((await review(fixture, token)).authenticated, true);
  clock.advance(599_000);
  assert.equal((await review(fixture, token)).authenticated, true);
  clock.advance(3_600_000);
  assert.match((await review(fixture, token)).error ?? "", /expired/);
  clock.advance(-2 * 3_600_000);
  assert.match((await review(fixture, token)).error ?? "", /not valid yet/);
});

test("TokenReview refuses a token whose account, or whose pod, is gone", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await account(fixture, "web");
  const pods = "/api/v1/namespaces/default/pods";
  const pod = { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "x" }] } };
  await admin.post(pods, pod);
  const bound = await tokenOf(fixture, "web", {
    boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p" },
  });
  const free = await tokenOf(fixture, "web");
  assert.equal((await review(fixture, bound)).authenticated, true);
  await admin.delete(`${pods}/p`);
  await admin.post(pods, pod);
  assert.match((await review(fixture, bound)).error ?? "", /pod bound to the token/);
  assert.equal((await review(fixture, free)).authenticated, true);
  await admin.delete(`${ACCOUNTS}/web`);
  await account(fixture, "web");
  assert.match((await review(fixture, free)).error ?? "", /account has been deleted/);
});

test("server lets a workload see what there is, and do nothing", async () => {
  await using fixture = await startFixture();
  await account(fixture, "web");
  const web = fixture.as(fixture.server.issueToken("default", "web"));
  assert.equal((await web.get("/api")).code, 200);
  for (const path of [
    `${ACCOUNTS}/web`,
    "/api/v1/namespaces/default",
    `${ACCOUNTS}/default`,
    ACCOUNTS,
    "/api/v1/pods",
    "/api/v1/secrets",
    "/api/v1/nosuch",
  ]) {
    assert.equal((await web.get(path)).code, 403, path);
  }
  assert.equal((await web.post(REVIEWS, { spec: { token: "x" } })).code, 403);
  assert.equal((await web.post(`${ACCOUNTS}/web/token`, { spec: {} })).code, 403);
  assert.equal((await web.delete("/api/v1/namespaces/default")).code, 403);
});

test("server lets the control plane do what its parts need, and not more", async () => {
  await using fixture = await startFixture();
  const control = fixture.as(fixture.server.controlToken);
  const can = async (
    verb: string,
    group: string,
    resource: string,
    subresource = "",
  ): Promise<boolean> => {
    const { body } = await control.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      spec: { resourceAttributes: { verb, group, resource, subresource, namespace: "default" } },
    });
    return (body["status"] as { allowed: boolean }).allowed;
  };
  assert.equal(await can("create", "authentication.k8s.io", "tokenreviews"), true);
  assert.equal(await can("watch", "", "pods"), true);
  assert.equal(await can("update", "coordination.k8s.io", "leases"), true);
  assert.equal(await can("patch", "policy.linkerd.io", "httproutes", "status"), true);
  assert.equal(await can("create", "workload.linkerd.io", "externalworkloads"), true);
  assert.equal(await can("update", "policy.linkerd.io", "servers"), false);
  assert.equal(await can("delete", "", "namespaces"), false);
  assert.equal(await can("create", "", "serviceaccounts", "token"), false);
  assert.equal(await can("create", "rbac.authorization.k8s.io", "clusterroles"), false);
  assert.equal((await control.get("/api/v1/pods")).code, 200);
  assert.equal((await control.delete("/api/v1/namespaces/kube-public")).code, 403);
});
