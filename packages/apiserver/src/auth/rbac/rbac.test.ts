import assert from "node:assert/strict";
import { test } from "node:test";
import { digArray, digString, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import type { TestClient } from "@heddle/apiserver/testing/client";
import { type Fixture, startFixture } from "@heddle/apiserver/testing/fixture";
import { describeRules, missingRules, readRules, ruleAllows } from "./rule.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const SECRETS = "/api/v1/namespaces/linkerd/secrets";

function rules(...list: JsonObject[]) {
  return readRules({ rules: list });
}

const READ_PODS = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "pods/log"] };

test("a rule allows what it names, and subresources only by name", () => {
  const [rule] = rules({ ...READ_PODS, resourceNames: ["a"] });
  const access = {
    kind: "resource",
    verb: "get",
    group: "",
    resource: "pods",
    subresource: "",
    namespace: "x",
    name: "a",
  } as const;
  assert.ok(ruleAllows(rule!, access));
  assert.ok(ruleAllows(rule!, { ...access, subresource: "log" }));
  assert.ok(!ruleAllows(rule!, { ...access, subresource: "status" }));
  assert.ok(!ruleAllows(rule!, { ...access, name: "b" }));
  assert.ok(!ruleAllows(rule!, { ...access, name: "" }));
  assert.ok(!ruleAllows(rule!, { ...access, verb: "delete" }));
  assert.ok(!ruleAllows(rule!, { ...access, group: "apps" }));
  const [any] = rules({ verbs: ["*"], apiGroups: ["*"], resources: ["*/status"] });
  assert.ok(ruleAllows(any!, { ...access, subresource: "status" }));
  assert.ok(!ruleAllows(any!, access));
  const [paths] = rules({ verbs: ["get"], nonResourceURLs: ["/api/*", "/healthz"] });
  const path = (text: string) => ruleAllows(paths!, { kind: "path", verb: "get", path: text });
  assert.deepEqual(["/api/v1", "/healthz", "/healthz/x", "/api"].map(path), [
    true,
    true,
    false,
    false,
  ]);
});

test("what is missing is told rule by rule, with its verbs gathered", () => {
  const held = rules(READ_PODS, { verbs: ["*"], apiGroups: ["apps"], resources: ["*"] });
  const wanted = rules(
    { verbs: ["get", "list", "watch"], apiGroups: ["", "apps"], resources: ["pods"] },
    { verbs: ["get"], nonResourceURLs: ["/metrics"] },
    { ...READ_PODS, resourceNames: ["one"] },
  );
  assert.deepEqual(describeRules(missingRules(held, wanted)), [
    '{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}',
    '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
  ]);
  // Who has it for one name only does not have it for all.
  const named = rules({ ...READ_PODS, resourceNames: ["one"] });
  assert.equal(missingRules(named, rules(READ_PODS)).length, 4);
});

async function somebody(fixture: Fixture, name: string): Promise<TestClient> {
  const path = "/api/v1/namespaces/default/serviceaccounts";
  assert.equal((await fixture.admin.post(path, { metadata: { name } })).code, 201);
  return fixture.as(fixture.server.issueToken("default", name));
}

async function bind(
  { admin }: Fixture,
  path: string,
  role: string,
  account: string,
): Promise<void> {
  const kind = path.includes("namespaces") ? "Role" : "ClusterRole";
  const subjects = [{ kind: "ServiceAccount", name: account, namespace: "default" }];
  const roleRef = { kind, name: role };
  const body = { metadata: { name: `${role}-${account}` }, roleRef, subjects };
  const { code, text } = await admin.post(`${RBAC}${path}`, body);
  assert.equal(code, 201, text);
}

test("a binding gives rights at once, in its namespace, until it goes", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const web = await somebody(fixture, "web");
  const pods = "/api/v1/namespaces/default/pods";
  assert.equal((await web.get(pods)).code, 403);
  await admin.post(`${RBAC}/namespaces/default/roles`, {
    metadata: { name: "r" },
    rules: [READ_PODS],
  });
  await bind(fixture, "/namespaces/default/rolebindings", "r", "web");
  assert.equal((await web.get(pods)).code, 200);
  assert.equal((await web.get("/api/v1/namespaces/kube-public/pods")).code, 403);
  assert.equal((await web.get("/api/v1/pods")).code, 403);
  await admin.patch(`${RBAC}/namespaces/default/roles/r`, "merge", { rules: [] });
  assert.equal((await web.get(pods)).code, 403);
  await bind(fixture, "/clusterrolebindings", "view", "web");
  assert.equal((await web.get("/api/v1/pods")).code, 200);
  assert.equal((await web.get("/api/v1/secrets")).code, 403);
  await admin.delete(`${RBAC}/clusterrolebindings/view-web`);
  assert.equal((await web.get(pods)).code, 403);
});

test("aggregated roles gather the rules of those that their labels select", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const resources = async (name: string): Promise<Json[]> => {
    const { body } = await admin.get(`${RBAC}/clusterroles/${name}`);
    return digArray(body, "rules").flatMap((rule) => digArray(rule, "resources"));
  };
  const watch = await admin.watch(`${RBAC}/clusterroles`);
  using _watch = watch;
  const until = (name: string, resource: string): Promise<unknown> =>
    watch.until(
      ({ object }) =>
        digString(object, "metadata", "name") === name &&
        digArray(object, "rules").some((rule) => digArray(rule, "resources").includes(resource)),
    );
  await until("admin", "rolebindings");
  assert.ok((await resources("view")).includes("endpointslices"));
  assert.ok(!(await resources("view")).includes("secrets"));
  assert.ok((await resources("admin")).includes("secrets"));
  await admin.post(`${RBAC}/clusterroles`, {
    metadata: { name: "carts", labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" } },
    rules: [{ verbs: ["get"], apiGroups: ["shop.example.com"], resources: ["carts"] }],
  });
  await until("admin", "carts");
  assert.ok((await resources("view")).includes("carts"));
});

test("nobody gives what they do not have, but who may bind or escalate does", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const eve = await somebody(fixture, "eve");
  const roles = `${RBAC}/namespaces/default/roles`;
  const bindings = `${RBAC}/namespaces/default/rolebindings`;
  const rbac = { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"] };
  await admin.post(roles, {
    metadata: { name: "r" },
    rules: [{ ...rbac, verbs: ["create", "update", "patch", "get"] }, READ_PODS],
  });
  await bind(fixture, "/namespaces/default/rolebindings", "r", "eve");
  const refused = await eve.post(roles, {
    metadata: { name: "all" },
    rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
  });
  assert.equal(refused.code, 403);
  assert.match(String(refused.body["message"]), /grant RBAC permissions not currently held/);
  assert.equal((await admin.get(`${roles}/all`)).code, 404);
  const small = { metadata: { name: "small" }, rules: [READ_PODS] };
  assert.equal((await eve.post(roles, small)).code, 201);
  const more = await eve.patch(`${roles}/small`, "merge", {
    rules: [{ ...READ_PODS, verbs: ["*"] }],
  });
  assert.equal(more.code, 403);
  const binding = (name: string): JsonObject => ({
    metadata: { name },
    roleRef: { kind: "ClusterRole", name },
    subjects: [{ kind: "User", name: "eve" }],
  });
  assert.equal((await eve.post(bindings, binding("cluster-admin"))).code, 403);
  const allowed = {
    ...rbac,
    resources: ["clusterroles"],
    resourceNames: ["view"],
    verbs: ["bind"],
  };
  await admin.patch(`${roles}/r`, "json", [{ op: "add", path: "/rules/-", value: allowed }]);
  assert.equal((await eve.post(bindings, binding("view"))).code, 201);
  assert.equal((await eve.post(bindings, binding("edit"))).code, 403);
});

test("nobody gives what they do not have, also where webhooks have a say", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const eve = await somebody(fixture, "eve");
  const roles = `${RBAC}/namespaces/default/roles`;
  const rbac = { apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles"] };
  await admin.post(roles, {
    metadata: { name: "r" },
    rules: [{ ...rbac, verbs: ["create", "patch", "get"] }],
  });
  await bind(fixture, "/namespaces/default/rolebindings", "r", "eve");
  const rules = [{ ...rbac, apiVersions: ["*"], operations: ["*"] }];
  const made = await admin.post(
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    {
      metadata: { name: "away" },
      webhooks: [
        {
          name: "away.example.com",
          // Nobody answers there.
          clientConfig: { url: "https://127.0.0.1:9/" },
          rules,
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          failurePolicy: "Ignore",
          timeoutSeconds: 1,
        },
      ],
    },
  );
  assert.equal(made.code, 201, made.text);
  const small = { metadata: { name: "small" }, rules: [{ ...rbac, verbs: ["get"] }] };
  assert.equal((await eve.post(roles, small)).code, 201);
  const big = { rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }] };
  assert.equal((await eve.post(roles, { metadata: { name: "big" }, ...big })).code, 403);
  assert.equal((await eve.patch(`${roles}/small`, "merge", big)).code, 403);
});

test("who may impersonate acts as others, who may not does not", async () => {
  await using fixture = await startFixture();
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const headers = { "impersonate-user": "ann", "impersonate-group": "a" };
  const seen = await fixture.admin.post(path, {}, { headers });
  assert.equal(digString(seen.body, "status", "userInfo", "username"), "ann");
  assert.deepEqual(digArray(seen.body, "status", "userInfo", "groups"), [
    "a",
    "system:authenticated",
  ]);
  const web = await somebody(fixture, "web");
  assert.equal((await web.post(path, {}, { headers })).code, 403);
  const masters = { "impersonate-user": "x", "impersonate-group": "system:masters" };
  const control = fixture.as(fixture.server.controlToken);
  assert.equal((await control.get("/api/v1/secrets", { headers: masters })).code, 403);
  const groups = { "impersonate-group": "system:masters" };
  assert.equal((await web.get("/api/v1/secrets", { headers: groups })).code, 400);
});

test("the control plane reads and uses up secrets in its own namespace only", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const control = fixture.as(fixture.server.controlToken);
  assert.equal((await control.get(SECRETS)).code, 403);
  using watch = await admin.watch(`${RBAC}/namespaces/linkerd/rolebindings`);
  await admin.post("/api/v1/namespaces", { metadata: { name: "linkerd" } });
  await watch.next();
  assert.equal((await control.get(SECRETS)).code, 200);
  assert.equal((await control.post(SECRETS, { metadata: { name: "s" } })).code, 403);
  await admin.post(SECRETS, { metadata: { name: "s" } });
  assert.equal((await control.delete(`${SECRETS}/s`)).code, 200);
  assert.equal((await control.get("/api/v1/namespaces/default/secrets")).code, 403);
  assert.equal((await control.get("/api/v1/configmaps")).code, 403);
});

test("default roles come back, unless an administrator has taken them over", async () => {
  await using first = await startFixture();
  const { admin, server, dataDir } = first;
  const keep = {
    metadata: { annotations: { "rbac.authorization.kubernetes.io/autoupdate": "false" } },
  };
  await admin.patch(`${RBAC}/clusterroles/system:basic-user`, "merge", { rules: [] });
  await admin.patch(`${RBAC}/clusterroles/system:discovery`, "merge", { ...keep, rules: [] });
  await admin.delete(`${RBAC}/clusterrolebindings/system:basic-user`);
  await server.close(0);
  await using second = await startFixture({ dataDir });
  const count = async (name: string): Promise<number> =>
    digArray((await second.admin.get(`${RBAC}/clusterroles/${name}`)).body, "rules").length;
  assert.equal(await count("system:basic-user"), 2);
  assert.equal(await count("system:discovery"), 0);
  const bound = await second.admin.get(`${RBAC}/clusterrolebindings/system:basic-user`);
  assert.equal(bound.code, 200);
});
