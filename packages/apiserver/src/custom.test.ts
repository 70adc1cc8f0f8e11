import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { TestClient } from "./testing/client.ts";
import { startFixture } from "./testing/fixture.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GROUP = "/apis/shop.example.com";
const CARTS = `${GROUP}/v1/namespaces/default/carts`;

const SPEC: JsonObject = {
  type: "object",
  required: ["owner"],
  properties: {
    owner: { type: "string", pattern: "^[a-z]+$", maxLength: 8 },
    color: { type: "string", enum: ["red", "blue"], default: "red" },
    port: { "x-kubernetes-int-or-string": true },
    note: { type: "string", nullable: true },
    free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    replicas: { type: "integer", minimum: 0, default: 1 },
    items: {
      type: "array",
      maxItems: 3,
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["name"],
      items: {
        type: "object",
        required: ["name"],
        properties: { name: { type: "string" }, count: { type: "integer", default: 1 } },
      },
    },
    either: {
      type: "object",
      oneOf: [{ required: ["a"] }, { required: ["b"] }],
      properties: { a: { type: "string" }, b: { type: "string" } },
    },
  },
};

const STATUS: JsonObject = {
  type: "object",
  properties: { replicas: { type: "integer" }, selector: { type: "string" } },
};

function version(name: string, extra: JsonObject = {}, spec: JsonObject = SPEC): JsonObject {
  return {
    name,
    served: true,
    storage: name === "v1",
    schema: {
      openAPIV3Schema: { type: "object", required: ["spec"], properties: { spec, status: STATUS } },
    },
    subresources: {
      status: {},
      scale: {
        specReplicasPath: ".spec.replicas",
        statusReplicasPath: ".status.replicas",
        labelSelectorPath: ".status.selector",
      },
    },
    additionalPrinterColumns: [
      { name: "Owner", type: "string", jsonPath: ".spec.owner" },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    ],
    ...extra,
  };
}

function definition(...versions: JsonObject[]): JsonObject {
  return {
    metadata: { name: "carts.shop.example.com" },
    spec: {
      group: "shop.example.com",
      scope: "Namespaced",
      names: { kind: "Cart", plural: "carts", shortNames: ["ct"], categories: ["all"] },
      versions: versions as Json,
    },
  };
}

async function define(client: TestClient, ...versions: JsonObject[]): Promise<JsonObject> {
  const { code, text, body } = await client.post(DEFINITIONS, definition(...versions));
  assert.equal(code, 201, text);
  return body;
}

function cart(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: "shop.example.com/v1", kind: "Cart", metadata: { name }, spec };
}

function specOf(object: JsonObject): JsonObject {
  return object["spec"] as JsonObject;
}

test("a CustomResourceDefinition is served as soon as it is stored", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  assert.equal((await admin.get(CARTS)).code, 404);
  const made = await define(admin, version("v1"));
  const conditions = (made["status"] as { conditions: JsonObject[] }).conditions;
  assert.ok(conditions.some(({ type, status }) => type === "Established" && status === "True"));
  assert.equal((await admin.get(CARTS)).code, 200);
  const { resources } = (await admin.get(`${GROUP}/v1`)).body as { resources: JsonObject[] };
  assert.deepEqual(
    resources.map(({ name }) => name),
    ["carts", "carts/status", "carts/scale"],
  );
  assert.deepEqual(resources[0]!["shortNames"], ["ct"]);
});

test("custom objects are defaulted and pruned", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  const made = await admin.post(
    CARTS,
    cart("a", { owner: "me", unknown: 1, free: { any: [1] }, items: [{ name: "x" }], note: null }),
  );
  assert.equal(made.code, 201, made.text);
  assert.deepEqual(specOf(made.body), {
    owner: "me",
    free: { any: [1] },
    items: [{ name: "x", count: 1 }],
    note: null,
    color: "red",
    replicas: 1,
  });
  assert.match(String(made.headers["warning"]), /spec.unknown/);
  const strict = await admin.post(
    `${CARTS}?fieldValidation=Strict`,
    cart("b", { owner: "me", no: 1 }),
  );
  assert.equal(strict.code, 400);
});

test("custom objects that their schema does not allow are refused, field by field", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  const fields = async (spec: JsonObject): Promise<string[]> => {
    const { code, body, text } = await admin.post(CARTS, cart("a", spec));
    assert.equal(code, 422, text);
    const { causes } = body["details"] as { causes: { field: string }[] };
    return causes.map(({ field }) => field);
  };
  assert.deepEqual(await fields({}), ["spec.owner"]);
  assert.deepEqual(await fields({ owner: "ME" }), ["spec.owner"]);
  assert.deepEqual(await fields({ owner: "a".repeat(9) }), ["spec.owner"]);
  assert.deepEqual(await fields({ owner: "me", color: "green" }), ["spec.color"]);
  assert.deepEqual(await fields({ owner: "me", replicas: "1" }), ["spec.replicas"]);
  assert.deepEqual(await fields({ owner: "me", replicas: -1 }), ["spec.replicas"]);
  assert.deepEqual(await fields({ owner: "me", port: true }), ["spec.port"]);
  assert.deepEqual(await fields({ owner: "me", either: { a: "x", b: "y" } }), ["spec.either"]);
  const twice = [{ name: "x" }, { name: "x" }];
  assert.deepEqual(await fields({ owner: "me", items: twice }), ["spec.items[1]"]);
  const many = ["a", "b", "c", "d"].map((name) => ({ name }));
  assert.deepEqual(await fields({ owner: "me", items: many }), ["spec.items"]);
});

test("status has a subresource of its own, and only the spec counts in the generation", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  const made = await admin.post(CARTS, { ...cart("a", { owner: "me" }), status: { replicas: 5 } });
  assert.equal(made.body["status"], undefined);
  const changed = await admin.patch(`${CARTS}/a/status`, "merge", {
    status: { replicas: 2 },
    spec: { owner: "you" },
  });
  assert.deepEqual(changed.body["status"], { replicas: 2 });
  assert.equal(specOf(changed.body)["owner"], "me");
  const spec = await admin.patch(`${CARTS}/a`, "merge", { spec: { owner: "you" }, status: null });
  assert.deepEqual(spec.body["status"], { replicas: 2 });
  const generation = (object: JsonObject): Json | undefined =>
    (object["metadata"] as JsonObject)["generation"];
  assert.deepEqual(
    [made, changed, spec].map(({ body }) => generation(body)),
    [1, 1, 2],
  );
});

test("scale reads and writes the paths that the definition names", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  await admin.post(CARTS, cart("a", { owner: "me", replicas: 3 }));
  const read = await admin.get(`${CARTS}/a/scale`);
  assert.deepEqual(specOf(read.body), { replicas: 3 });
  const written = await admin.put(`${CARTS}/a/scale`, { ...read.body, spec: { replicas: 5 } });
  assert.deepEqual(specOf(written.body), { replicas: 5 });
  assert.equal(specOf((await admin.get(`${CARTS}/a`)).body)["replicas"], 5);
  const patched = await admin.patch(`${CARTS}/a/scale`, "merge", { spec: { replicas: 7 } });
  assert.deepEqual(specOf(patched.body), { replicas: 7 });
  assert.equal((await admin.put(`${CARTS}/a/scale`, { spec: { replicas: -1 } })).code, 422);
});

test("versions of a definition show the same objects, each by its own schema", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const older: JsonObject = {
    type: "object",
    properties: { owner: { type: "string" }, size: { type: "string", default: "small" } },
  };
  const extra = { deprecated: true, deprecationWarning: "use v1" };
  await define(admin, version("v1"), version("v1alpha1", extra, older));
  await admin.post(CARTS, cart("a", { owner: "me" }));
  const old = await admin.get(`${GROUP}/v1alpha1/namespaces/default/carts/a`);
  assert.equal(old.body["apiVersion"], "shop.example.com/v1alpha1");
  assert.deepEqual(specOf(old.body), { owner: "me", size: "small" });
  assert.match(String(old.headers["warning"]), /use v1/);
  const { body } = await admin.get("/apis");
  const group = (body["groups"] as JsonObject[]).find(({ name }) => name === "shop.example.com")!;
  assert.equal((group["preferredVersion"] as JsonObject)["version"], "v1");
  using watch = await admin.watch(`${GROUP}/v1alpha1/namespaces/default/carts`);
  assert.equal((await watch.next())!.object["apiVersion"], "shop.example.com/v1alpha1");
});

test("definitions that are no good are refused with the path of each fault", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const refused = async (body: JsonObject): Promise<string[]> => {
    const answer = await admin.post(DEFINITIONS, body);
    assert.equal(answer.code, 422, answer.text);
    const { causes } = answer.body["details"] as { causes: { field: string }[] };
    return causes.map(({ field }) => field);
  };
  const schema = "spec.versions[0].schema.openAPIV3Schema";
  const withSpec = (spec: JsonObject): JsonObject => definition(version("v1", {}, spec));
  assert.deepEqual(await refused({ ...definition(version("v1")), metadata: { name: "x.y" } }), [
    "metadata.name",
  ]);
  assert.deepEqual(await refused(definition()), ["spec.versions", "spec.versions"]);
  assert.deepEqual(await refused(withSpec({ properties: {} })), [
    `${schema}.properties[spec].type`,
  ]);
  assert.deepEqual(await refused(withSpec({ type: "object", $ref: "#/x" })), [
    `${schema}.properties[spec].$ref`,
  ]);
  const bad = { type: "object", properties: { a: { type: "string", pattern: "(?=a)" } } };
  assert.deepEqual(await refused(withSpec(bad)), [
    `${schema}.properties[spec].properties[a].pattern`,
  ]);
  const wrong = { type: "object", properties: { a: { type: "string", default: 1 } } };
  assert.deepEqual(await refused(withSpec(wrong)), [
    `${schema}.properties[spec].properties[a].default`,
  ]);
  const column = { additionalPrinterColumns: [{ name: "x", type: "string", jsonPath: "..[" }] };
  assert.deepEqual(await refused(definition(version("v1", column))), [
    "spec.versions[0].additionalPrinterColumns[0].jsonPath",
  ]);
  const taken = definition(version("v1"));
  (taken["metadata"] as JsonObject)["name"] = "carts.discovery.k8s.io";
  (taken["spec"] as JsonObject)["group"] = "discovery.k8s.io";
  assert.deepEqual(await refused(taken), ["spec.group"]);
});

test("patterns of schemas cost linear time", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const spec = { type: "object", properties: { owner: { type: "string", pattern: "^(a+)+$" } } };
  await define(admin, version("v1", {}, spec));
  const answer = await admin.post(CARTS, cart("a", { owner: `${"a".repeat(50_000)}b` }));
  assert.equal(answer.code, 422);
});

test("a definition takes its objects with it", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  await admin.post(CARTS, cart("a", { owner: "me" }));
  const path = `${DEFINITIONS}?fieldSelector=metadata.name%3Dcarts.shop.example.com`;
  using watch = await admin.watch(path);
  await admin.delete(`${DEFINITIONS}/carts.shop.example.com`);
  await watch.until(({ type }) => type === "DELETED");
  assert.equal((await admin.get(CARTS)).code, 404);
  await define(admin, version("v1"));
  assert.deepEqual((await admin.get(CARTS)).body["items"], []);
});

test("custom objects come as tables with the columns of their definition", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  await define(admin, version("v1"));
  await admin.post(CARTS, cart("a", { owner: "me" }));
  const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
  const { body } = await admin.get(CARTS, { accept });
  const columns = body["columnDefinitions"] as JsonObject[];
  assert.deepEqual(
    columns.map(({ name }) => name),
    ["Name", "Owner", "Age"],
  );
  const [row] = body["rows"] as { cells: Json[]; object: JsonObject }[];
  assert.deepEqual(row!.cells.slice(0, 2), ["a", "me"]);
  assert.equal(row!.object["kind"], "PartialObjectMetadata");
});
