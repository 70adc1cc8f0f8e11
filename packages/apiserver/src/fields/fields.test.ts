import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import { parseTypes } from "@heddle/apiserver/schema/notation";
import { startFixture } from "@heddle/apiserver/testing/fixture";
import { compare, fieldsOf } from "./compare.ts";
import { FieldSet, showPath } from "./field-set.ts";
import { capUpdaters, decodeManagers, encodeManagers } from "./managers.ts";
import { mergeConfig, removeFields } from "./merge.ts";
import { newFields } from "./new-fields.ts";
import { configProblems } from "./typed.ts";

const SHOP = parseTypes(`
Shop: name string; address Address!; doors [Door] #id,side; tags [string] set; notes [string];
  labels {string}; selector {string} atomic; owner Owner; rest any
Address: street string; city string
Door: id* string; side string =left; width int32
Owner(atomic): name string; since string
`).get("Shop")!;

function set(...paths: readonly string[][]): FieldSet {
  const made = new FieldSet();
  for (const path of paths) made.insert(path);
  return made;
}

function shown(fields: FieldSet): string[] {
  return [...fields.paths()].map(showPath);
}

test("sets of fields are told and read as FieldsV1", () => {
  const json = {
    "f:a": { ".": {}, "f:b": {}, 'k:{"id":"x"}': { ".": {}, "f:w": {} } },
    "f:c": { 'v:"t"': {} },
  };
  const read = FieldSet.decode(json);
  assert.deepEqual(read.encode(), json);
  assert.deepEqual(shown(read), [".a", ".a.b", '.a[id="x"]', '.a[id="x"].w', '.c[="t"]']);
  for (const bad of [[], { a: {} }, { "f:a": 1 }, { "f:a": { q: {} } }] as Json[]) {
    assert.throws(() => FieldSet.decode(bad), SyntaxError);
  }
  const hostile = FieldSet.decode(JSON.parse('{"f:__proto__":{"f:x":{}}}') as Json);
  assert.deepEqual(shown(hostile), [".__proto__.x"]);
});

test("sets are united, cut and subtracted path by path", () => {
  const one = set(["f:a"], ["f:a", "f:b"], ["f:c", "f:d"]);
  const two = set(["f:a"], ["f:c", "f:d"], ["f:c", "f:e"]);
  assert.deepEqual(shown(one.union(two)), [".a", ".a.b", ".c.d", ".c.e"]);
  assert.deepEqual(shown(one.intersection(two)), [".a", ".c.d"]);
  assert.deepEqual(shown(one.difference(two)), [".a.b"]);
  assert.deepEqual(shown(one.without(set(["f:a"]))), [".c.d"]);
  assert.ok(one.difference(one).isEmpty);
});

test("a comparison goes as deep as fields are owned apart", () => {
  const before = {
    name: "a",
    doors: [{ id: "1", width: 1 }, { id: "2" }],
    tags: ["x", "y"],
    notes: ["n"],
    selector: { a: "b" },
    owner: { name: "o" },
    rest: { deep: { list: [1], gone: 1 } },
  };
  const after = {
    name: "a",
    address: { city: "c" },
    doors: [{ id: "3" }, { id: "1", side: "left", width: 2 }],
    tags: ["y", "z"],
    notes: ["n", "m"],
    labels: { k: "v" },
    selector: { a: "c" },
    owner: { name: "o", since: "1" },
    rest: { deep: { list: [2] } },
  };
  const { added, modified, removed } = compare(before, after, SHOP);
  assert.deepEqual(shown(added), [
    ".labels",
    ".address.city",
    '.doors[id="3",side="left"]',
    '.doors[id="1",side="left"].side',
    '.doors[id="3",side="left"].id',
    ".labels.k",
    '.tags[="z"]',
  ]);
  assert.deepEqual(shown(modified), [
    ".notes",
    ".owner",
    ".selector",
    '.doors[id="1",side="left"].width',
    ".rest.deep.list",
  ]);
  assert.deepEqual(shown(removed), [
    '.doors[id="2",side="left"]',
    '.doors[id="2",side="left"].id',
    ".rest.deep.gone",
    '.tags[="x"]',
  ]);
});

test("merged lists keep the configuration's order, and others' items where they were", () => {
  const doors = (...ids: string[]): JsonObject => ({ doors: ids.map((id) => ({ id })) });
  const merged = (live: string[], config: string[]): unknown => {
    const { doors: found } = mergeConfig(doors(...live), doors(...config), SHOP);
    return (found as JsonObject[]).map((door) => door["id"]).join("");
  };
  assert.equal(merged(["a", "b", "c"], ["c", "a"]), "bca");
  assert.equal(merged(["a", "b"], ["x", "b"]), "axb");
  assert.equal(merged(["a", "x", "b"], ["b", "a"]), "xba");
  assert.equal(merged([], ["b", "a"]), "ba");
  assert.equal(merged(["a"], []), "a");
});

test("what is removed goes; what others have around it stays", () => {
  const object = { name: "n", labels: { a: "1", b: "2" }, tags: ["x"], address: { city: "c" } };
  const gone = set(["f:labels", "f:a"], ["f:tags", 'v:"x"'], ["f:address", "f:city"], ["f:name"]);
  assert.deepEqual(removeFields(object, gone, SHOP), { labels: { b: "2" }, address: {} });
});

test("a configuration owns what it names", () => {
  const config = { doors: [{ id: "1" }], labels: {}, owner: { name: "x" }, rest: { q: null } };
  assert.deepEqual(shown(fieldsOf(config, SHOP)), [
    ".labels",
    ".owner",
    '.doors[id="1",side="left"]',
    '.doors[id="1",side="left"].id',
    ".rest.q",
  ]);
  assert.deepEqual(configProblems({ doors: [{ width: 1 }], tags: ["a", "a"] }, SHOP), [
    '.tags: duplicate entries for key [="a"]',
  ]);
  assert.deepEqual(configProblems({ name: 1 }, SHOP), [
    ".name: expected string, got &value.valueUnstructured{Value:1}",
  ]);
});

test("fields of a new object are those by which it differs from none", () => {
  const servers = { root: new Set<string>(), metadata: new Set<string>() };
  for (const object of [
    {},
    { name: "n", labels: { b: "1", a: "2" }, selector: { x: "y" }, notes: ["m"], rest: { q: [1] } },
    { address: {}, doors: [], tags: [], labels: {}, owner: {} },
    { address: { city: "c" }, owner: { name: "o" } },
    { doors: [{ id: "2", width: 1 }, { id: "1" }, { id: "2", side: "left" }], tags: ["b", "a"] },
    { rest: { deep: { empty: {}, none: null, list: [] } } },
  ] as JsonObject[]) {
    const { added, modified } = compare(undefined, object, SHOP);
    assert.deepEqual(newFields(object, SHOP, servers), added.union(modified).encode());
  }
});

test("updates beyond ten managers are merged, the oldest first", () => {
  const entry = (at: number): JsonObject => ({
    manager: `m${at}`,
    operation: "Update",
    apiVersion: "v1",
    time: `2026-01-01T00:00:${String(at).padStart(2, "0")}Z`,
    fieldsType: "FieldsV1",
    fieldsV1: { [`f:f${at}`]: {} },
  });
  const managers = decodeManagers(Array.from({ length: 13 }, (_, at) => entry(at)));
  capUpdaters(managers);
  const entries = encodeManagers(managers) as JsonObject[];
  assert.equal(entries.length, 10);
  assert.equal(entries[0]!["manager"], "ancient-changes");
  assert.deepEqual(entries[0]!["fieldsV1"], { "f:f0": {}, "f:f1": {}, "f:f2": {}, "f:f3": {} });
  assert.equal(entries[0]!["time"], entry(3)["time"]);
});

const APPLY = "application/apply-patch+yaml";
const MAPS = "/api/v1/namespaces/default/configmaps";

test("an apply makes an object, tells conflicts, and takes fields by force", async () => {
  await using fixture = await startFixture();
  const { admin } = fixture;
  const send = (manager: string, data: JsonObject, more = "") =>
    admin.send("PATCH", `${MAPS}/a?fieldManager=${manager}${more}`, {
      type: APPLY,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data },
    });
  assert.equal((await send("one", { k: "1", l: "1" })).code, 201);
  const refused = await send("two", { k: "2" });
  assert.equal(refused.code, 409);
  assert.equal(
    refused.body["message"],
    'Apply failed with 1 conflict: conflict with "one": .data.k',
  );
  const dry = await send("two", { k: "2" }, "&force=true&dryRun=All");
  assert.deepEqual(dry.body["data"], { k: "2", l: "1" });
  assert.deepEqual((await admin.get(`${MAPS}/a`)).body["data"], { k: "1", l: "1" });
  assert.equal((await send("two", { k: "2" }, "&force=true")).code, 200);
  const left = await send("one", {});
  assert.deepEqual(left.body["data"], { k: "2" });
});

test("lists whose items make no sense are refused by their schema, not by an error", async () => {
  await using fixture = await startFixture();
  const pods = "/api/v1/namespaces/default/pods";
  for (const containers of [
    ["x"],
    [1, null],
    [[]],
    [{ image: "x" }],
    [{ name: "a" }, { name: "a" }],
  ]) {
    const body = { metadata: { name: "p" }, spec: { containers } } as JsonObject;
    const { code, text } = await fixture.admin.post(pods, body);
    assert.equal(code, 422, text);
    const config = { apiVersion: "v1", kind: "Pod", ...body };
    const applied = await fixture.admin.send("PATCH", `${pods}/p?fieldManager=x`, {
      type: APPLY,
      body: config,
    });
    assert.ok(applied.code >= 400, applied.text);
    assert.doesNotMatch(applied.text, /see the server's log/);
  }
  const owners = [
    { manager: 1 },
    { operation: "Update", apiVersion: "v1", fieldsType: "FieldsV1" },
  ];
  for (const managedFields of [owners, "x", [1], [{ fieldsV1: { q: 1 } }]] as Json[]) {
    const metadata = { name: "owned", managedFields };
    const { code } = await fixture.admin.post(MAPS, { metadata });
    assert.ok(code === 201 || code === 422, String(code));
    await fixture.admin.delete(`${MAPS}/owned`);
  }
});

test("a configuration may be YAML, and no bomb", async () => {
  await using fixture = await startFixture();
  const send = (text: string) =>
    fixture.admin.send("PATCH", `${MAPS}/y?fieldManager=one`, {
      type: APPLY,
      body: Buffer.from(text),
    });
  const head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\n";
  assert.deepEqual((await send(`${head}data:\n  a: b\n`)).body["data"], { a: "b" });
  assert.equal((await send(`${head}data: [`)).code, 400);
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  for (const [at, name] of [..."bcdefghi"].entries()) {
    const before = "abcdefghi"[at];
    bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`);
  }
  assert.equal((await send(bomb.join("\n"))).code, 400);
});
