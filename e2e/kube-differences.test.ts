import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { isObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS } from "./kube/api-server.ts";
import { CART_SCHEMA, DEPLOYMENT, LIMIT_SCHEMA } from "./kube/samples.ts";
import { APPLY, type Ask, JSON_PATCH, MERGE, STRATEGIC, TwoServers } from "./kube/two-servers.ts";

const absent = KUBE_API_TOOLS.filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

const NAMESPACE = "both";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const APPS = `/apis/apps/v1/namespaces/${NAMESPACE}`;

/** Every request goes to the embedded server and to a real one, which must answer the same. */
describe("the embedded API server and Kubernetes'", { skip }, () => {
  let two: TwoServers;

  before(async () => {
    two = await TwoServers.start();
    await two.ask("POST", "/api/v1/namespaces", { body: { metadata: { name: NAMESPACE } } });
  });

  after(() => two[Symbol.asyncDispose]());

  function apply(path: string, manager: string, body: Json, more = ""): Promise<{ code: number }> {
    return two.same("PATCH", `${path}?fieldManager=${manager}${more}`, { type: APPLY, body });
  }

  test("keep the same account of who owns which field", async () => {
    const maps = `${CORE}/configmaps`;
    const body = {
      metadata: { name: "owned", labels: { x: "y" }, annotations: { n: "1" } },
      data: { k: "v" },
    };
    await two.same("POST", `${maps}?fieldManager=one`, { body });
    await two.same("POST", maps, { agent: "program/1.0", body: { metadata: { name: "agent" } } });
    const merge: Ask = { type: MERGE, body: { data: { k: "w", l: "m" } } };
    await two.same("PATCH", `${maps}/owned?fieldManager=two`, merge);
    await two.same("PATCH", `${maps}/owned?fieldManager=three`, merge);
    const reset: Ask = { type: MERGE, body: { metadata: { managedFields: [{}] } } };
    await two.same("PATCH", `${maps}/owned?fieldManager=two`, reset);
    await two.same("PATCH", `${maps}/owned?fieldManager=two`, {
      ...merge,
      body: { data: { z: "" } },
    });
    await apply(`${maps}/owned`, "late", configMap("owned", { k: "other" }));
    await apply(`${maps}/owned`, "late", configMap("owned", { k: "other" }), "&force=true");
    const owners: Ask = { type: STRATEGIC, body: { metadata: { finalizers: ["a.b/c"] } } };
    await two.same("PATCH", `${maps}/owned?fieldManager=f`, owners);
    const none: Ask = { type: MERGE, body: { metadata: { finalizers: null } } };
    await two.same("PATCH", `${maps}/owned?fieldManager=f`, none);
  });

  test("merge what is applied, refuse conflicts, and take away what is given up", async () => {
    const path = `${CORE}/configmaps/applied`;
    await apply(path, "one", configMap("applied", { a: "1", b: "1" }));
    await apply(path, "one", configMap("applied", { a: "1", b: "1" }));
    assert.equal((await apply(path, "two", configMap("applied", { a: "2" }))).code, 409);
    assert.equal((await apply(path, "two", configMap("applied", { a: "2", b: "2" }))).code, 409);
    await apply(path, "two", configMap("applied", { a: "2" }), "&force=true");
    await apply(path, "three", configMap("applied", { a: "2", c: "3" }));
    await apply(path, "one", configMap("applied", {}));
    await apply(path, "two", configMap("applied", {}));
    await apply(path, "three", configMap("applied", {}));
  });

  test("refuse the same configurations", async () => {
    const path = `${CORE}/configmaps/refused`;
    const config = configMap("refused", { a: "1" });
    await apply(path, "one", { ...config, metadata: {} });
    await apply(path, "one", { ...config, metadata: { name: "other" } });
    await apply(path, "one", { ...config, metadata: { name: "refused", uid: "u" } });
    await apply(path, "one", config);
    await two.same("PATCH", path, { type: APPLY, body: config });
    await two.same("PATCH", `${path}?force=true`, { type: MERGE, body: {} });
    await apply(path, "n".repeat(129), config);
    await apply(path, "one", { ...config, apiVersion: "v2" });
    await apply(path, "one", { ...config, kind: "Secret" });
    await apply(path, "one", { kind: "ConfigMap" });
    await apply(path, "one", { ...config, nonsense: 1 });
    await apply(path, "one", { ...config, data: 1 });
    await apply(path, "one", { ...config, metadata: { name: "refused", managedFields: [] } });
  });

  test("own workloads' fields by their lists' keys", async () => {
    const path = `${APPS}/deployments/web`;
    await two.same("POST", `${APPS}/deployments?fieldManager=one`, { body: DEPLOYMENT });
    const scale: Ask = { type: MERGE, body: { spec: { replicas: 3 } } };
    await two.same("PATCH", `${path}/scale?fieldManager=two`, scale);
    await two.same("GET", path);
    await two.same("PATCH", `${path}/status?fieldManager=st`, {
      type: MERGE,
      body: { status: { replicas: 3 } },
    });
    const config = (spec: JsonObject): JsonObject => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web" },
      spec,
    });
    const side = { name: "side", image: "side:1" };
    const env = { name: "app", env: [{ name: "C", value: "3" }] };
    const template = { spec: { containers: [side, env] } };
    await apply(path, "three", config({ replicas: 4, template }));
    await apply(path, "three", config({ replicas: 4, template }), "&force=true");
    const rest = { spec: { containers: [{ name: "app", image: "app:2" }] } };
    await apply(path, "three", config({ template: rest }), "&force=true");
  });

  test("own services', secrets' and other kinds' fields", async () => {
    const service = {
      metadata: { name: "web" },
      spec: {
        selector: { a: "b" },
        clusterIP: "None",
        ports: [
          { port: 80, name: "http" },
          { port: 81, name: "g", protocol: "UDP" },
        ],
      },
    };
    await two.same("POST", `${CORE}/services?fieldManager=one`, { body: service });
    const ports = (...list: Json[]): JsonObject => ({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web" },
      spec: { ports: list },
    });
    const extra = { port: 90, name: "n", targetPort: 9 };
    await apply(`${CORE}/services/web`, "two", ports(extra));
    await apply(`${CORE}/services/web`, "two", ports(extra, { port: 90, name: "m" }));
    await apply(`${CORE}/services/web`, "two", ports());
    const secret = { metadata: { name: "s" }, stringData: { a: "b" }, data: { c: "ZA==" } };
    await two.same("POST", `${CORE}/secrets?fieldManager=one`, { body: secret });
    const account = { metadata: { name: "a" }, imagePullSecrets: [{ name: "q" }] };
    await two.same("POST", `${CORE}/serviceaccounts?fieldManager=one`, { body: account });
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
    const rules = [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }];
    await two.same("POST", `${rbac}/roles?fieldManager=one`, {
      body: { metadata: { name: "r" }, rules },
    });
    const binding = {
      metadata: { name: "r" },
      roleRef: { kind: "Role", name: "r" },
      subjects: [{ kind: "User", name: "u" }],
    };
    await two.same("POST", `${rbac}/rolebindings?fieldManager=one`, { body: binding });
  });

  test("merge strategic patches alike, down to the order of lists", async () => {
    const path = `${APPS}/deployments/patched`;
    const body = { ...DEPLOYMENT, metadata: { name: "patched", labels: { a: "b", c: "d" } } };
    await two.same("POST", `${APPS}/deployments?fieldManager=one`, { body });
    const send = (patch: JsonObject, at = path): Promise<unknown> =>
      two.same("PATCH", `${at}?fieldManager=two`, { type: STRATEGIC, body: patch });
    const pod = (spec: JsonObject): JsonObject => ({ spec: { template: { spec } } });
    const app = (fields: JsonObject): JsonObject =>
      pod({ containers: [{ name: "app", ...fields }] });
    await send(app({ env: [{ name: "C", value: "3" }] }));
    await send(app({ env: [{ name: "A", value: "9" }] }));
    await send(app({ env: [{ name: "B", $patch: "delete" }] }));
    await send(app({ $patch: "replace", image: "app:2" }));
    await send(pod({ tolerations: [{ key: "z" }] }));
    const secret = { secretName: "s" };
    await send(pod({ volumes: [{ name: "v", $retainKeys: ["name", "secret"], secret }] }));
    await send(pod({ volumes: [{ name: "w", emptyDir: {} }] }));
    const order = [{ name: "v" }, { name: "w" }];
    await send(pod({ "$setElementOrder/volumes": order, volumes: [{ name: "v", secret }] }));
    await send({ spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } });
    await send({ metadata: { labels: { a: null, z: "y" } } });
    await send({ metadata: { labels: { $patch: "replace", n: "m" } } });
    await send({ metadata: { labels: { $patch: "delete" } } });
    await send(pod({ containers: [{ $patch: "replace" }, { name: "only", image: "o:1" }] }));
    const map = `${CORE}/configmaps/patched`;
    const metadata = { name: "patched", finalizers: ["a.b/c", "d.e/f"] };
    await two.same("POST", `${CORE}/configmaps?fieldManager=one`, { body: { metadata } });
    await send({ metadata: { finalizers: ["g.h/i"] } }, map);
    await send({ metadata: { "$setElementOrder/finalizers": ["g.h/i", "d.e/f"] } }, map);
    await send({ metadata: { "$deleteFromPrimitiveList/finalizers": ["a.b/c"] } }, map);
    await two.same("PATCH", `${map}?fieldManager=two`, {
      type: MERGE,
      body: { metadata: { finalizers: null } },
    });
  });

  test("let kubectl take over what it has applied on the client's side", async () => {
    const path = `${CORE}/configmaps/before`;
    const last = configMap("before", { a: "1", other: "<&>" });
    const annotations = {
      "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(last),
    };
    const body = { ...last, metadata: { name: "before", annotations } };
    const manager = "kubectl-client-side-apply";
    await two.same("POST", `${CORE}/configmaps?fieldManager=${manager}`, { body });
    await apply(path, "other", configMap("before", { a: "2" }));
    await apply(path, "kubectl", configMap("before", { a: "2", b: "<1>" }));
    await apply(path, "other", configMap("before", { a: "3" }));
  });

  test("stream lists, and refuse the same wishes", async () => {
    const maps = `${CORE}/configmaps`;
    for (const name of ["s1", "s2"]) {
      const body = { metadata: { name, labels: { streamed: "yes" } } };
      await two.same("POST", `${maps}?fieldManager=one`, { body });
    }
    const wish = "labelSelector=streamed&timeoutSeconds=1";
    const match = "resourceVersionMatch=NotOlderThan";
    await two.sameEvents(
      `${maps}?${wish}&${match}&sendInitialEvents=true&allowWatchBookmarks=true`,
      3,
    );
    await two.sameEvents(`${maps}?${wish}`, 2);
    await two.same("GET", `${maps}?watch=1&sendInitialEvents=true`);
    await two.same("GET", `${maps}?watch=1&sendInitialEvents=false`);
    await two.same("GET", `${maps}?watch=1&${match}`);
    await two.same("GET", `${maps}?watch=1&resourceVersionMatch=Exact&sendInitialEvents=true`);
    await two.same("GET", `${maps}?sendInitialEvents=true`);
  });

  describe("roles", () => {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
    const reviews = "/apis/authorization.k8s.io/v1";
    const ann = { "impersonate-user": "ann" };
    const eve = { "impersonate-user": "eve", "impersonate-group": "team" };
    const account = { "impersonate-user": `system:serviceaccount:${NAMESPACE}:web` };

    before(async () => {
      const rules = [
        { verbs: ["get", "list"], apiGroups: [""], resources: ["pods", "configmaps"] },
        {
          verbs: ["get"],
          apiGroups: ["apps"],
          resources: ["deployments/scale"],
          resourceNames: ["web"],
        },
      ];
      await two.same("POST", `${rbac}/roles?fieldManager=x`, {
        body: { metadata: { name: "reader" }, rules },
      });
      const people = [
        { kind: "User", name: "ann" },
        { kind: "ServiceAccount", name: "web", namespace: NAMESPACE },
      ];
      const team = [{ kind: "Group", name: "team" }];
      await bind("readers", "Role", "reader", people);
      await bind("editors", "ClusterRole", "system:aggregate-to-edit", team);
      await bind("admins", "ClusterRole", "system:aggregate-to-admin", team);
      await bind("nowhere", "Role", "absent", [{ kind: "User", name: "bob" }]);
      await settled();
    });

    function bind(name: string, kind: string, role: string, subjects: Json[]): Promise<unknown> {
      const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind, name: role };
      const body = { metadata: { name }, roleRef, subjects };
      return two.same("POST", `${rbac}/rolebindings?fieldManager=x`, { body });
    }

    /** The real server hears of its own roles and bindings a little later. */
    async function settled(): Promise<void> {
      for (let left = 100; left > 0; left--) {
        const { real } = await two.ask("GET", `${CORE}/secrets`, { headers: eve });
        if (real.code === 200) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error("the real server does not see the bindings");
    }

    test("let and refuse the same", async () => {
      for (const [headers, path] of [
        [ann, `${CORE}/configmaps/none`],
        [ann, `${CORE}/secrets`],
        [ann, "/api/v1/namespaces/default/pods"],
        [ann, "/api/v1/pods"],
        [ann, `${APPS}/deployments/other/scale`],
        [ann, `${CORE}/services?watch=1`],
        [ann, "/apis/no.such/v1/things"],
        [ann, "/metrics"],
        [account, `${CORE}/pods/none`],
        [{ "impersonate-user": "bob" }, `${CORE}/pods/none`],
        [{ "impersonate-user": "system:anonymous" }, `${CORE}/pods/none`],
      ] as const) {
        await two.same("GET", path, { headers });
      }
      await two.same("DELETE", `${CORE}/pods/none`, { headers: ann });
      const body = configMap("new", {});
      await two.same("PATCH", `${CORE}/configmaps/new?fieldManager=x`, {
        headers: ann,
        type: APPLY,
        body,
      });
    });

    test("are told of in reviews", async () => {
      const attributes = (verb: string, resource: string, more: JsonObject = {}): JsonObject => ({
        resourceAttributes: { verb, group: "", resource, namespace: NAMESPACE, ...more },
      });
      const ask = (path: string, spec: JsonObject, headers = {}): Promise<unknown> =>
        two.same("POST", `${reviews}/${path}`, { body: { spec }, headers });
      const own = "selfsubjectaccessreviews";
      await ask(own, attributes("get", "pods"), ann);
      await ask(own, attributes("delete", "pods"), ann);
      await ask(own, attributes("delete", "pods"), eve);
      await ask(own, attributes("create", "pods", { subresource: "eviction" }), eve);
      await ask(own, attributes("get", "pods"), { "impersonate-user": "bob" });
      await ask(own, { nonResourceAttributes: { verb: "get", path: "/apis/x" } }, ann);
      await ask(own, { nonResourceAttributes: { verb: "get", path: "/metrics" } }, ann);
      await ask(own, {}, ann);
      const others = "subjectaccessreviews";
      await ask(others, { user: "ann", ...attributes("list", "configmaps") });
      await ask(others, { groups: ["team"], ...attributes("list", "secrets") });
      await ask(others, { groups: ["system:masters"], ...attributes("list", "secrets") });
      await ask(others, attributes("list", "secrets"));
      await ask(others, { user: "ann", ...attributes("list", "configmaps") }, ann);
      const local = `namespaces/${NAMESPACE}/localsubjectaccessreviews`;
      await ask(local, { user: "ann", ...attributes("list", "configmaps") });
      await ask(local, { user: "ann", ...attributes("list", "configmaps", { namespace: "x" }) });
      await ask("selfsubjectrulesreviews", {}, ann);
      const who = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
      await two.same("POST", who, { body: {}, headers: account });
      await two.same("POST", who, { body: {}, headers: { ...eve, "impersonate-uid": "u" } });
    });

    test("give nobody more than who gives has", async () => {
      const role = (name: string, ...rules: JsonObject[]): JsonObject => ({
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name },
        rules,
      });
      const pods = { verbs: ["get", "list"], apiGroups: [""], resources: ["secrets"] };
      const nodes = { verbs: ["get", "list"], apiGroups: [""], resources: ["nodes", "secrets"] };
      const all = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
      const roles = `${rbac}/roles`;
      const make = (body: JsonObject): Promise<unknown> =>
        two.same("POST", `${roles}?fieldManager=x`, { headers: eve, body });
      await make(role("big", nodes, all));
      await make(role("small", pods));
      const update = (body: JsonObject): Promise<unknown> =>
        two.same("PATCH", `${roles}/small?fieldManager=x`, { headers: eve, type: MERGE, body });
      await update({ rules: [{ ...nodes, resourceNames: ["n"] }] });
      await update({ metadata: { labels: { a: "b" } } });
      const applied: Ask = { headers: eve, type: APPLY, body: role("applied", nodes) };
      await two.same("PATCH", `${roles}/applied?fieldManager=x`, applied);
      for (const [kind, name] of [
        ["ClusterRole", "cluster-admin"],
        ["Role", "absent"],
        ["Role", "small"],
      ] as const) {
        const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind, name };
        const subjects = [{ kind: "User", name: "eve" }];
        const body = { metadata: { name: `to-${name}` }, roleRef, subjects };
        await two.same("POST", `${rbac}/rolebindings?fieldManager=x`, { headers: eve, body });
      }
      const cluster = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
      await two.same("POST", cluster, { headers: eve, body: { metadata: { name: "c" } } });
    });

    test("are there from the start", async () => {
      for (const name of [
        "cluster-admin",
        "system:basic-user",
        "system:discovery",
        "system:public-info-viewer",
        "system:auth-delegator",
        "system:aggregate-to-view",
        "system:aggregate-to-edit",
        "system:aggregate-to-admin",
      ]) {
        const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`;
        const { embedded, real } = await two.ask("GET", path);
        assert.deepEqual(rulesIn(embedded.body), rulesIn(real.body), name);
      }
    });
  });

  describe("custom resources", () => {
    const group = "shop.example.com";
    const carts = `/apis/${group}/v1/namespaces/${NAMESPACE}/carts`;
    const cart = (spec: JsonObject, more: JsonObject = {}): JsonObject => ({
      apiVersion: `${group}/v1`,
      kind: "Cart",
      metadata: { name: "mine" },
      spec,
      ...more,
    });

    before(() => define(two, group, "carts", CART_SCHEMA));

    test("are merged by the lists' and maps' types that their schema says", async () => {
      const path = `${carts}/mine`;
      const first = {
        owner: "me",
        items: [{ name: "a" }, { name: "b", port: 81, note: "n" }],
        tags: ["x", "y"],
        list: [{ a: "1" }],
        sel: { a: "b" },
        map: { k: { a: "1" }, e: {} },
        free: { q: { w: [1, 2], z: {} } },
      };
      await two.same("POST", `${carts}?fieldManager=one`, { body: cart(first) });
      const wanted = {
        owner: "you",
        items: [{ name: "b", port: 81, note: "other" }, { name: "new" }],
        tags: ["z"],
        sel: { c: "d" },
        map: { k: { b: "2", a: "9" } },
        free: { q: { w: [3] } },
      };
      await apply(path, "two", cart(wanted));
      await apply(path, "two", cart(wanted), "&force=true");
      const map = { k: { b: "2" } };
      await apply(path, "two", cart({ map, items: [{ name: "new" }, { name: "a" }], tags: ["y"] }));
      await apply(path, "two", cart({ map, tags: [], items: [], maybe: null }));
      await two.same("PUT", `${path}?fieldManager=three`, { body: cart({}) });
    });

    test("keep their status apart, and versions together", async () => {
      const path = `${carts}/apart`;
      const metadata = { name: "apart" };
      const status = { phase: "A" };
      await apply(`${path}/status`, "st", cart({}, { metadata, status }));
      await apply(path, "one", cart({ owner: "me" }, { metadata, status }));
      await apply(`${path}/status`, "st", cart({ owner: "st" }, { metadata, status }));
      const second = { metadata, apiVersion: `${group}/v2` };
      await apply(path, "two", cart({ owner: "v2" }, second));
      const other = path.replace("/v1/", "/v2/");
      await apply(other, "two", cart({ owner: "v2" }, second));
      await apply(other, "two", cart({ owner: "v2" }, second), "&force=true");
      await apply(other, "one", cart({ count: 5 }, second), "&force=true");
    });

    test("are refused where their items cannot be told apart", async () => {
      const path = `${carts}/refused`;
      const metadata = { name: "refused" };
      await apply(path, "one", cart({ nonsense: 1 }, { metadata }));
      await apply(path, "one", cart({ owner: 1 }, { metadata }));
      await apply(
        path,
        "one",
        cart({ items: [{ name: "q" }, { name: "q", port: 80 }] }, { metadata }),
      );
      await apply(path, "one", cart({ tags: ["a", "a"] }, { metadata }));
    });

    test("have no more than ten updaters", async () => {
      const metadata = { name: "many" };
      await two.same("POST", `${carts}?fieldManager=one`, { body: cart({}, { metadata }) });
      for (let at = 0; at < 12; at++) {
        const ask: Ask = { type: MERGE, body: { spec: { map: { [`k${at}`]: { a: "1" } } } } };
        // Many in one second: they are merged by name, not by age.
        await two.ask("PATCH", `${carts}/many?fieldManager=m${at}`, ask);
      }
      const { embedded, real } = await two.ask("GET", `${carts}/many`);
      assert.equal(managersIn(embedded.body).length, managersIn(real.body).length);
      assert.ok(managersIn(embedded.body).includes("ancient-changes"));
    });

    test("keep the rules of their schema, in the same words", async () => {
      await define(two, group, "limits", LIMIT_SCHEMA);
      const limits = `/apis/${group}/v1/namespaces/${NAMESPACE}/limits`;
      const limit = (name: string, spec: JsonObject): JsonObject => ({
        apiVersion: `${group}/v1`,
        kind: "Limit",
        metadata: { name },
        spec,
      });
      for (const [at, spec] of [
        {
          min: 1,
          max: 2,
          fixed: "a",
          items: [
            { id: "a", n: 3 },
            { id: "b", n: 3 },
          ],
        },
        { min: 3, max: 2 },
        { root: "no" },
        { min: 7, max: 9 },
        { min: 8, max: 9 },
        { min: 9, max: 9 },
        { min: 10, max: 19 },
        { map: { good: "x", wrong: "bad" } },
        { number: 1 },
        { isOn: false },
        { items: [{ id: "a", n: 0 }, { id: "b" }, { id: "c" }, { id: "d" }] },
        { error: {} },
        { min: "x", max: 1, root: "no" },
      ].entries()) {
        const body = limit(`l${at}`, spec as JsonObject);
        await two.same("POST", `${limits}?fieldManager=one`, { body });
      }
      for (const spec of [
        { fixed: "b" },
        {
          items: [
            { id: "b", n: 2 },
            { id: "a", n: 4 },
          ],
        },
        {
          items: [
            { id: "b", n: 4 },
            { id: "c", n: 1 },
          ],
        },
      ]) {
        await two.same("PATCH", `${limits}/l0?fieldManager=one`, { type: MERGE, body: { spec } });
      }
      await apply(`${limits}/l0`, "two", limit("l0", { min: 3 }), "&force=true");
    });

    test("take JSON patches", async () => {
      const metadata = { name: "patched" };
      await two.same("POST", `${carts}?fieldManager=one`, { body: cart({}, { metadata }) });
      const body = [{ op: "add", path: "/spec/owner", value: "me" }];
      await two.same("PATCH", `${carts}/patched?fieldManager=two`, { type: JSON_PATCH, body });
    });
  });
});

function configMap(name: string, data: JsonObject): JsonObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data };
}

function rulesIn(role: Json): Json | undefined {
  return isObject(role) ? role["rules"] : undefined;
}

function managersIn(object: Json): Json[] {
  const metadata = isObject(object) && isObject(object["metadata"]) ? object["metadata"] : {};
  const entries = metadata["managedFields"];
  return Array.isArray(entries) ? entries.map((entry) => (entry as JsonObject)["manager"]!) : [];
}

/** Defines a resource, and waits until both servers have it. */
async function define(
  two: TwoServers,
  group: string,
  plural: string,
  openAPIV3Schema: JsonObject,
): Promise<void> {
  const version = (name: string, storage: boolean): JsonObject => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema },
    subresources: { status: {} },
  });
  const body = {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind: `${plural[0]!.toUpperCase()}${plural.slice(1, -1)}`, plural },
      versions: [version("v1", true), version("v2", false)],
    },
  };
  await two.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", { body });
  const path = `/apis/${group}/v2/${plural}`;
  for (let left = 100; ; left--) {
    const { embedded, real } = await two.ask("GET", path);
    if (embedded.code === 200 && real.code === 200) return;
    if (left === 0) throw new Error(`${path} is not served: ${JSON.stringify({ embedded, real })}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
