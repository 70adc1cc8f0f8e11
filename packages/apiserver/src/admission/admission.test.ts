import assert from "node:assert/strict";
import { test } from "node:test";
import { dig, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { type Fixture, startFixture } from "@heddle/apiserver/testing/fixture";
import { type Clock, systemClock } from "@heddle/base/clock";
import { patching, type Reviewer, WebhookHost } from "@heddle/testkit/webhook-host";

const MAPS = "/api/v1/namespaces/default/configmaps";
const GROUP = "/apis/admissionregistration.k8s.io/v1";
const ALLOW = { allowed: true };

function map(name: string, more: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, ...more };
}

const MAP_RULE: JsonObject = {
  operations: ["*"],
  apiGroups: [""],
  apiVersions: ["v1"],
  resources: ["configmaps"],
};

interface World extends AsyncDisposable {
  readonly fixture: Fixture;
  readonly admin: Fixture["admin"];
  /** Registers a webhook that answers so, under a name that orders it. */
  hook(
    sort: "mutating" | "validating",
    name: string,
    review: Reviewer,
    more?: JsonObject,
  ): Promise<WebhookHost>;
}

async function startWorld(options: Parameters<typeof startFixture>[0] = {}): Promise<World> {
  const parts = new AsyncDisposableStack();
  const fixture = parts.use(await startFixture(options));
  const { admin } = fixture;
  return {
    fixture,
    admin,
    hook: async (sort, name, review, more = {}) => {
      const host = parts.use(await WebhookHost.start(review));
      const kind = sort === "mutating" ? "Mutating" : "Validating";
      const made = await admin.post(`${GROUP}/${sort}webhookconfigurations`, {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: `${kind}WebhookConfiguration`,
        metadata: { name },
        webhooks: [webhook(name, { clientConfig: { ...host.clientConfig }, ...more })],
      });
      assert.equal(made.code, 201, made.text);
      return host;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function webhook(name: string, more: JsonObject): JsonObject {
  return {
    name: `${name}.hooks.example`,
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
    rules: [MAP_RULE],
    ...more,
  };
}

test("a validating webhook is shown what would be stored, and its denial is the client's", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const host = await world.hook("validating", "strict", ({ object }) =>
    dig(object as Json, "data", "bad") === undefined
      ? ALLOW
      : { allowed: false, status: { message: "data.bad: remove it", code: 403 } },
  );
  const made = await admin.post(MAPS, map("good", { data: { a: "1" } }));
  assert.equal(made.code, 201);
  const [asked] = host.seen;
  assert.equal(asked!.operation, "CREATE");
  assert.equal(asked!.name, "good");
  assert.equal(asked!.namespace, "default");
  assert.equal(asked!.userInfo.username, "heddle-admin");
  assert.equal(asked!.oldObject, null);
  assert.equal(asked!.dryRun, false);
  const { resourceVersion: _, ...stored } = made.body["metadata"] as JsonObject;
  assert.deepEqual(asked!.object, { ...made.body, metadata: stored });

  const denied = await admin.post(MAPS, map("evil", { data: { bad: "1" } }));
  assert.equal(denied.code, 403);
  assert.equal(
    denied.body["message"],
    'admission webhook "strict.hooks.example" denied the request: data.bad: remove it',
  );
  assert.equal((await admin.get(`${MAPS}/evil`)).code, 404);

  const changed = await admin.patch(`${MAPS}/good`, "merge", { data: { bad: "1" } });
  assert.equal(changed.code, 403);
  assert.deepEqual((await admin.get(`${MAPS}/good`)).body, made.body);
  const { operation, object, oldObject } = host.seen.at(-1)!;
  assert.equal(operation, "UPDATE");
  assert.deepEqual(oldObject, made.body);
  assert.deepEqual(object!["data"], { a: "1", bad: "1" });
});

test("an object is as old as its webhooks saw it, however long they took", async () => {
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + aheadMs };
  await using world = await startWorld({ clock });
  const host = await world.hook("validating", "slow", () => {
    aheadMs += 60_000;
    return ALLOW;
  });
  const made = await world.admin.post(MAPS, map("one"));
  const created = (object: unknown): Json | undefined =>
    dig(object as Json, "metadata", "creationTimestamp");
  assert.equal(created(made.body), created(host.seen[0]?.object));
});

test("a webhook may keep an object from being deleted", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const host = await world.hook("validating", "keeper", ({ operation }) =>
    operation === "DELETE" ? { allowed: false } : ALLOW,
  );
  await admin.post(MAPS, map("kept"));
  for (const path of [`${MAPS}/kept`, `${MAPS}?fieldSelector=metadata.name%3Dkept`]) {
    const denied = await admin.delete(path);
    assert.equal(denied.code, 400);
    assert.match(String(denied.body["message"]), /keeper.*denied the request without explanation/);
  }
  assert.equal(host.seen.at(-1)!.object, null);
  assert.equal(dig(host.seen.at(-1)!.oldObject as Json, "metadata", "name"), "kept");
  assert.equal((await admin.get(`${MAPS}/kept`)).code, 200);
});

test("mutating webhooks come one after the other, and before what the schema says", async () => {
  await using world = await startWorld();
  const { admin } = world;
  await world.hook("mutating", "a", () =>
    patching({ op: "add", path: "/data", value: { a: "1" } }),
  );
  await world.hook("mutating", "b", () => patching({ op: "add", path: "/data/b", value: "2" }));
  const judge = await world.hook("validating", "judge", () => ALLOW);
  const made = await admin.post(MAPS, map("x"));
  assert.deepEqual(made.body["data"], { a: "1", b: "2" });
  assert.deepEqual(judge.seen[0]!.object!["data"], { a: "1", b: "2" });

  await world.hook("mutating", "c", () => patching({ op: "add", path: "/data/c", value: 3 }));
  const invalid = await admin.post(MAPS, map("y"));
  assert.equal(invalid.code, 422);
  assert.match(String(invalid.body["message"]), /data\.c/);
  assert.equal(judge.seen.length, 1);
});

test("a webhook that wants it sees the object again when a later one changed it", async () => {
  await using world = await startWorld();
  const again = await world.hook("mutating", "a", () => ALLOW, { reinvocationPolicy: "IfNeeded" });
  const never = await world.hook("mutating", "b", () => ALLOW);
  const changing = await world.hook("mutating", "c", ({ object }) =>
    object!["data"] === undefined
      ? patching({ op: "add", path: "/data", value: { z: "" } })
      : ALLOW,
  );
  await world.admin.post(MAPS, map("x"));
  assert.deepEqual(
    [again, never, changing].map(({ seen }) => seen.length),
    [2, 1, 1],
  );
  assert.deepEqual(again.seen[1]!.object!["data"], { z: "" });
  await world.admin.patch(`${MAPS}/x`, "merge", { data: { k: "1" } });
  assert.deepEqual(
    [again, never, changing].map(({ seen }) => seen.length),
    [3, 2, 2],
  );
});

test("a patch that does not apply, or of what is deleted, is the webhook's fault", async () => {
  await using world = await startWorld();
  const { admin } = world;
  await admin.post(MAPS, map("x"));
  await world.hook("mutating", "bad", () => patching({ op: "remove", path: "/nothing" }));
  for (const answer of [await admin.post(MAPS, map("y")), await admin.delete(`${MAPS}/x`)]) {
    assert.equal(answer.code, 500);
    assert.match(String(answer.body["message"]), /webhook "bad\.hooks\.example"/);
  }
});

test("warnings of webhooks reach the client, with a denial too", async () => {
  await using world = await startWorld();
  const { admin } = world;
  await world.hook("validating", "wordy", ({ name }) => ({
    allowed: name !== "no",
    warnings: ['say "please"'],
  }));
  for (const [name, code] of [
    ["yes", 201],
    ["no", 400],
  ] as const) {
    const answer = await admin.post(MAPS, map(name));
    assert.equal(answer.code, code);
    assert.equal(answer.headers["warning"], '299 - "say \\"please\\""');
  }
});

test("a denial's details are the client's too, as far as they are details", async () => {
  await using world = await startWorld();
  const causes = [{ reason: "FieldValueInvalid", message: "too bad", field: "data.bad" }];
  const details = { kind: "configmaps", name: 5, causes, retryAfterSeconds: "1\r\nx: y" };
  await world.hook("validating", "strict", () => ({
    allowed: false,
    status: { message: "no", reason: "Invalid", code: 422, details },
  }));
  const answer = await world.admin.post(MAPS, map("x"));
  assert.equal(answer.code, 422);
  assert.deepEqual(answer.body["details"], { kind: "configmaps", causes });
});

test("a warning is said once, and all together fit into a client's headers", async () => {
  await using world = await startWorld();
  const many = Array.from({ length: 30 }, (_, at) => `${at} ${"é\n".repeat(500)}`);
  for (const name of ["a", "b"]) {
    await world.hook("validating", name, () => ({ allowed: true, warnings: ["twice", ...many] }));
  }
  const answer = await world.admin.post(MAPS, map("x"));
  assert.equal(answer.code, 201);
  const text = String(answer.headers["warning"]);
  assert.equal(text.split('"twice"').length, 2);
  assert.ok(text.length < 5_000, String(text.length));
});

test("a webhook that cannot be asked is passed over or in the way, as its policy says", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const closed = await WebhookHost.start(() => ALLOW);
  const clientConfig = { ...closed.clientConfig };
  await closed[Symbol.asyncDispose]();
  await world.hook("validating", "open", () => ALLOW, { clientConfig, failurePolicy: "Ignore" });
  assert.equal((await admin.post(MAPS, map("open"))).code, 201);
  await world.hook("validating", "shut", () => ALLOW, { clientConfig });
  const answer = await admin.post(MAPS, map("shut"));
  assert.equal(answer.code, 500);
  assert.equal(answer.body["reason"], "InternalError");
  assert.match(
    String(answer.body["message"]),
    /^Internal error occurred: failed calling webhook "shut\.hooks\.example": .*ECONNREFUSED/,
  );
});

const SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";

test("answers that are slow, wrong, too large or none at all are failures", async () => {
  await using world = await startWorld();
  const { admin } = world;
  let reviewer: Reviewer = () => ALLOW;
  await world.hook("validating", "odd", (...asked) => reviewer(...asked), { timeoutSeconds: 1 });
  const cases: readonly (readonly [Reviewer, RegExp])[] = [
    [() => undefined, /no answer within 1000 ms/],
    [() => ({ allowed: true, uid: "other" }), /uid is not the request's/],
    [() => ({ allowed: true, patch: "e30=" }), /patchType/],
    [(_, response) => void response.end("{"), /invalid webhook response/],
    [(_, response) => void response.end("[".repeat(1_000)), /nested deeper/],
    [(_, response) => void response.end(Buffer.alloc(9 * 1024 * 1024, 0x20)), /larger than/],
    [(_, response) => void response.writeHead(503).end("{}"), /answered 503/],
    [(_, response) => void response.destroy(), /hang up|ECONNRESET/],
    [(_, response) => void response.socket!.end(SWITCHING), /ended without an answer/],
    [(_, response) => void response.writeHead(204).end(), /invalid webhook response/],
  ];
  for (const [review, state] of cases) {
    reviewer = review;
    const answer = await admin.post(MAPS, map("x"));
    assert.equal(answer.code, 500);
    assert.match(String(answer.body["message"]), state);
  }
  reviewer = () => ALLOW;
  assert.equal((await admin.post(MAPS, map("x"))).code, 201);
});

test("a webhook proves itself by its bundle", async () => {
  await using world = await startWorld();
  const other = await WebhookHost.start(() => ALLOW);
  const { caBundle } = other;
  await other[Symbol.asyncDispose]();
  const host = await world.hook("validating", "a", () => ALLOW);
  const clientConfig = { url: host.clientConfig.url, caBundle };
  await world.hook("validating", "b", () => ALLOW, { clientConfig });
  const answer = await world.admin.post(MAPS, map("x"));
  assert.match(
    String(answer.body["message"]),
    /failed calling webhook "b\..*(certificate|signature)/,
  );
});

test("a Service's webhook is found by its endpoints, under the Service's name", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const service = { namespace: "default", name: "hook", path: "/review", port: 443 };
  const host = await WebhookHost.start(() => ALLOW);
  await using _ = host;
  await world.hook("validating", "a", () => ALLOW, {
    clientConfig: { service, caBundle: host.caBundle },
  });
  const failure = async (): Promise<string> =>
    String((await admin.post(MAPS, map("x"))).body["message"]);
  assert.match(await failure(), /service "hook" not found in default/);
  const ports = [{ name: "https", port: 443, targetPort: 8443 }];
  await admin.post("/api/v1/namespaces/default/services", {
    metadata: { name: "hook" },
    spec: { ports },
  });
  assert.match(await failure(), /service "hook" in default has no ready endpoint/);
  await admin.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    metadata: { name: "hook-1", labels: { "kubernetes.io/service-name": "hook" } },
    addressType: "IPv4",
    endpoints: [
      { addresses: ["127.0.0.9"], conditions: { ready: false } },
      { addresses: ["127.0.0.1"] },
    ],
    ports: [{ name: "https", port: host.port }],
  });
  assert.equal((await admin.post(MAPS, map("x"))).code, 201);
  assert.equal(host.seen.length, 1);
});

test("rules and selectors say which requests a webhook sees", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const names = ({ seen }: WebhookHost): string[] =>
    seen.map(({ name, operation }) => `${operation} ${name}`);
  const updates = await world.hook("validating", "updates", () => ALLOW, {
    rules: [{ ...MAP_RULE, operations: ["UPDATE"] }],
  });
  const cluster = await world.hook("validating", "cluster", () => ALLOW, {
    rules: [{ ...MAP_RULE, resources: ["*"], scope: "Cluster" }],
  });
  const marked = await world.hook("validating", "marked", () => ALLOW, {
    objectSelector: { matchLabels: { mark: "yes" } },
  });
  const elsewhere = await world.hook("validating", "elsewhere", () => ALLOW, {
    namespaceSelector: {
      matchExpressions: [
        { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["default"] },
      ],
    },
  });
  await admin.post("/api/v1/namespaces", { metadata: { name: "other" } });
  await admin.post(MAPS, map("a"));
  await admin.patch(`${MAPS}/a`, "merge", { metadata: { labels: { mark: "yes" } } });
  await admin.patch(`${MAPS}/a`, "merge", { metadata: { labels: { mark: "no" } } });
  await admin.post("/api/v1/namespaces/other/configmaps", map("b"));
  assert.deepEqual(names(updates), ["UPDATE a", "UPDATE a"]);
  assert.deepEqual(names(cluster), ["CREATE other"]);
  // The old object counts as well as the new.
  assert.deepEqual(names(marked), ["UPDATE a", "UPDATE a"]);
  assert.deepEqual(names(elsewhere), ["CREATE b"]);
});

test("a subresource is seen by those that name it", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const rule = { ...MAP_RULE, resources: ["services"] };
  const whole = await world.hook("validating", "whole", () => ALLOW, { rules: [rule] });
  const status = await world.hook("validating", "status", () => ALLOW, {
    rules: [{ ...rule, resources: ["services/status"] }],
  });
  const path = "/api/v1/namespaces/default/services";
  await admin.post(path, { metadata: { name: "s" }, spec: { ports: [{ port: 80 }] } });
  await admin.patch(`${path}/s/status`, "merge", { status: { loadBalancer: {} } });
  assert.deepEqual(
    whole.seen.map(({ subResource }) => subResource),
    [undefined],
  );
  assert.deepEqual(
    status.seen.map(({ subResource }) => subResource),
    ["status"],
  );
});

test("a webhook sees other versions as the one that it names, unless it wants them exactly", async () => {
  await using world = await startWorld();
  const { admin } = world;
  const version = (name: string): JsonObject => ({
    name,
    served: true,
    storage: name === "v2",
    schema: {
      openAPIV3Schema: {
        type: "object",
        properties: { spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    },
  });
  await admin.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "things.test.example" },
    spec: {
      group: "test.example",
      scope: "Namespaced",
      names: { plural: "things", singular: "thing", kind: "Thing", listKind: "ThingList" },
      versions: [version("v1"), version("v2")],
    },
  });
  const rules = [
    { ...MAP_RULE, apiGroups: ["test.example"], apiVersions: ["v2"], resources: ["things"] },
  ];
  const add = (): ReturnType<typeof patching> =>
    patching({ op: "add", path: "/spec/seen", value: true });
  const all = await world.hook("mutating", "all", add, { rules });
  const exact = await world.hook("mutating", "exact", add, { rules, matchPolicy: "Exact" });
  const made = await admin.post("/apis/test.example/v1/namespaces/default/things", {
    apiVersion: "test.example/v1",
    kind: "Thing",
    metadata: { name: "t" },
    spec: {},
  });
  assert.equal(made.code, 201, made.text);
  assert.equal(made.body["apiVersion"], "test.example/v1");
  assert.deepEqual(made.body["spec"], { seen: true });
  assert.equal(exact.seen.length, 0);
  assert.equal(all.seen[0]!.kind.version, "v2");
  assert.equal(all.seen[0]!.requestKind.version, "v1");
  assert.equal(all.seen[0]!.object!["apiVersion"], "test.example/v2");
});

test("a dry run is judged and leaves nothing", async () => {
  await using world = await startWorld();
  const host = await world.hook("validating", "a", () => ALLOW);
  assert.equal((await world.admin.post(`${MAPS}?dryRun=All`, map("x"))).code, 201);
  assert.equal(host.seen[0]!.dryRun, true);
  assert.equal((await world.admin.get(`${MAPS}/x`)).code, 404);
});

test("a generated name is the one that was judged", async () => {
  await using world = await startWorld();
  const host = await world.hook("validating", "a", () => ALLOW);
  const made = await world.admin.post(MAPS, { metadata: { generateName: "x-" } });
  assert.equal(host.seen[0]!.name, dig(made.body, "metadata", "name"));
  assert.equal(
    dig(host.seen[0]!.object as Json, "metadata", "uid"),
    dig(made.body, "metadata", "uid"),
  );
});

test("an object that changes while a webhook thinks is shown to it anew", async () => {
  await using world = await startWorld();
  const { admin } = world;
  await admin.post(MAPS, map("x", { data: { a: "0" } }));
  const first = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const host = await world.hook("validating", "slow", async ({ object }) => {
    if (host.seen.length === 1) {
      first.resolve();
      await goOn.promise;
    }
    return { allowed: dig(object as Json, "data", "b") !== undefined };
  });
  const slow = admin.patch(`${MAPS}/x`, "merge", { data: { b: "1" } });
  await first.promise;
  const quick = await admin.patch(`${MAPS}/x`, "merge", { data: { b: "9", c: "2" } });
  assert.equal(quick.code, 200);
  goOn.resolve();
  assert.deepEqual((await slow).body["data"], { a: "0", b: "1", c: "2" });
  assert.deepEqual(host.seen[2]!.oldObject!["data"], { a: "0", b: "9", c: "2" });
});

test("no webhook judges the configurations of webhooks", async () => {
  await using world = await startWorld();
  const everything = {
    operations: ["*"],
    apiGroups: ["*"],
    apiVersions: ["*"],
    resources: ["*/*"],
  };
  await world.hook("validating", "locked", () => ({ allowed: false }), { rules: [everything] });
  assert.equal((await world.admin.post(MAPS, map("x"))).code, 400);
  const path = `${GROUP}/validatingwebhookconfigurations/locked`;
  assert.equal((await world.admin.delete(path)).code, 200);
  assert.equal((await world.admin.post(MAPS, map("x"))).code, 201);
});

test("a configuration that could not be called as it is meant is refused", async () => {
  await using world = await startWorld();
  const url = "https://hook.example/";
  const cases: readonly (readonly [JsonObject, string])[] = [
    [{ name: "short" }, "name"],
    [{ sideEffects: "Some" }, "sideEffects"],
    [{ timeoutSeconds: 31 }, "timeoutSeconds"],
    [{ admissionReviewVersions: ["v2"] }, "admissionReviewVersions"],
    [{ matchConditions: [{ name: "c", expression: "false" }] }, "matchConditions"],
    [{ clientConfig: { url: "http://hook.example/" } }, "clientConfig.url"],
    [{ clientConfig: { url: `${url}?q` } }, "clientConfig.url"],
    [{ clientConfig: {} }, "clientConfig"],
    [{ clientConfig: { service: { namespace: "n", name: "s", path: "x" } } }, "service.path"],
    [{ clientConfig: { url, caBundle: "!" } }, "clientConfig.caBundle"],
    [{ rules: [{ ...MAP_RULE, operations: ["READ"] }] }, "rules[0].operations[0]"],
    [{ rules: [{ ...MAP_RULE, resources: [] }] }, "rules[0].resources"],
    [{ rules: [{ ...MAP_RULE, scope: "Some" }] }, "rules[0].scope"],
    [
      { objectSelector: { matchExpressions: [{ key: "k", operator: "Is" }] } },
      "objectSelector.matchExpressions[0].operator",
    ],
  ];
  for (const [more, field] of cases) {
    const answer = await world.admin.post(`${GROUP}/validatingwebhookconfigurations`, {
      metadata: { name: "x" },
      webhooks: [webhook("x", { clientConfig: { url }, ...more })],
    });
    assert.equal(answer.code, 422, `${field}: ${answer.text}`);
    assert.ok(String(answer.body["message"]).includes(field), answer.text);
  }
});
