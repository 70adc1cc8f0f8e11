import assert from "node:assert/strict";
import { test } from "node:test";
import { builtInType } from "@heddle/apiserver/kinds/built-in-types";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { MAX_JSON_DEPTH, parseJson } from "./parse.ts";
import { applyStrategicMerge } from "./strategic-merge.ts";
import type { Json, JsonObject } from "./value.ts";

/** RFC 6902, appendix A: document, patch, result; undefined where the patch must fail. */
const JSON_PATCHES: readonly (readonly [Json, Json, Json | undefined])[] = [
  [{ foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
  [
    { foo: ["bar", "baz"] },
    [{ op: "add", path: "/foo/1", value: "qux" }],
    { foo: ["bar", "qux", "baz"] },
  ],
  [{ baz: "qux", foo: "bar" }, [{ op: "remove", path: "/baz" }], { foo: "bar" }],
  [{ foo: ["bar", "qux", "baz"] }, [{ op: "remove", path: "/foo/1" }], { foo: ["bar", "baz"] }],
  [
    { baz: "qux", foo: "bar" },
    [{ op: "replace", path: "/baz", value: "boo" }],
    { baz: "boo", foo: "bar" },
  ],
  [
    { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
    [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
    { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } },
  ],
  [
    { foo: ["all", "grass", "cows", "eat"] },
    [{ op: "move", from: "/foo/1", path: "/foo/3" }],
    { foo: ["all", "cows", "eat", "grass"] },
  ],
  [
    { baz: "qux", foo: ["a", 2, "c"] },
    [
      { op: "test", path: "/baz", value: "qux" },
      { op: "test", path: "/foo/1", value: 2 },
    ],
    { baz: "qux", foo: ["a", 2, "c"] },
  ],
  [{ baz: "qux" }, [{ op: "test", path: "/baz", value: "bar" }], undefined],
  [
    { foo: "bar" },
    [{ op: "add", path: "/child", value: { grandchild: {} } }],
    { foo: "bar", child: { grandchild: {} } },
  ],
  [
    { foo: "bar" },
    [{ op: "add", path: "/baz", value: "qux", xyz: 123 }],
    { foo: "bar", baz: "qux" },
  ],
  [{ foo: "bar" }, [{ op: "add", path: "/baz/bat", value: "qux" }], undefined],
  [{ "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
  [{ "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: "10" }], undefined],
  [
    { foo: ["bar"] },
    [{ op: "add", path: "/foo/-", value: ["abc", "def"] }],
    { foo: ["bar", ["abc", "def"]] },
  ],
  [{ a: 1 }, [{ op: "copy", from: "/a", path: "/b" }], { a: 1, b: 1 }],
  [{ a: { b: 1 } }, [{ op: "move", from: "/a", path: "/a/b" }], undefined],
  [{ a: [1] }, [{ op: "add", path: "/a/2", value: 1 }], undefined],
  [{ a: [1] }, [{ op: "add", path: "/a/01", value: 1 }], undefined],
  [{ a: 1 }, [{ op: "frobnicate", path: "/a" }], undefined],
  [{ a: 1 }, [{ op: "add", path: "a", value: 1 }], undefined],
  [{ a: 1 }, [{ op: "remove", path: "/toString" }], undefined],
  [{ a: 1 }, { op: "remove", path: "/a" }, undefined],
];

test("applyJsonPatch() does what RFC 6902 says", () => {
  for (const [document, patch, expected] of JSON_PATCHES) {
    const before = structuredClone(document);
    if (expected === undefined) {
      assert.throws(() => applyJsonPatch(document, patch), SyntaxError, JSON.stringify(patch));
    } else assert.deepEqual(applyJsonPatch(document, patch), expected, JSON.stringify(patch));
    assert.deepEqual(document, before);
  }
});

/** RFC 7396, appendix A. */
const MERGE_PATCHES: readonly (readonly [Json, Json, Json])[] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test("applyMergePatch() does what RFC 7396 says", () => {
  for (const [document, patch, expected] of MERGE_PATCHES) {
    assert.deepEqual(applyMergePatch(document, patch), expected, JSON.stringify(patch));
  }
});

test("patches set keys such as __proto__ as data", () => {
  const patch = JSON.parse('{"__proto__":{"polluted":1}}') as Json;
  const merged = applyMergePatch({}, patch) as JsonObject;
  assert.ok(Object.hasOwn(merged, "__proto__"));
  const added = applyJsonPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: 1 } }]);
  assert.ok(Object.hasOwn(added as object, "__proto__"));
  const strategic = applyStrategicMerge({}, patch, { type: "object" });
  assert.ok(Object.hasOwn(strategic, "__proto__"));
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

function pod(spec: JsonObject): JsonObject {
  return { spec };
}

function merged(before: JsonObject, patch: JsonObject): Json {
  return applyStrategicMerge(pod(before), pod(patch), builtInType("Pod"))["spec"]!;
}

test("applyStrategicMerge() merges lists by their key and replaces those that have none", () => {
  const containers = [
    { name: "a", image: "1", args: ["x"] },
    { name: "b", image: "2" },
  ];
  assert.deepEqual(
    merged({ containers }, { containers: [{ name: "a", image: "3", args: ["y"] }] }),
    {
      containers: [
        { name: "a", image: "3", args: ["y"] },
        { name: "b", image: "2" },
      ],
    },
  );
  assert.deepEqual(merged({ tolerations: [{ key: "a" }] }, { tolerations: [{ key: "b" }] }), {
    tolerations: [{ key: "b" }],
  });
});

test("applyStrategicMerge() follows the directives of the patch", () => {
  const containers = [{ name: "a" }, { name: "b" }, { name: "c" }];
  const gone = { containers: [{ name: "b", $patch: "delete" }] };
  assert.deepEqual(merged({ containers }, gone), { containers: [{ name: "a" }, { name: "c" }] });
  const replaced = { containers: [{ name: "z" }, { $patch: "replace" }] };
  assert.deepEqual(merged({ containers }, replaced), { containers: [{ name: "z" }] });
  const selector = { nodeSelector: { $patch: "replace", b: "2" } };
  assert.deepEqual(merged({ nodeSelector: { a: "1" } }, selector), { nodeSelector: { b: "2" } });
  const removed = { nodeSelector: { $patch: "delete" } };
  assert.deepEqual(merged({ nodeSelector: { a: "1" } }, removed), {});
  const order = {
    "$setElementOrder/containers": [{ name: "c" }, { name: "new" }, { name: "a" }],
    containers: [{ name: "new" }],
  };
  // What the patch does not name keeps its place before what came behind it.
  assert.deepEqual(merged({ containers }, order), {
    containers: [{ name: "b" }, { name: "c" }, { name: "new" }, { name: "a" }],
  });
  const added = { containers: [{ name: "new" }, { name: "b", image: "x" }] };
  assert.deepEqual(merged({ containers }, added), {
    containers: [{ name: "new" }, { name: "a" }, { name: "b", image: "x" }, { name: "c" }],
  });
  const volume = { volumes: [{ name: "v", hostPath: { path: "/x" } }] };
  const retained = { volumes: [{ name: "v", emptyDir: {}, $retainKeys: ["name", "emptyDir"] }] };
  assert.deepEqual(merged(volume, retained), { volumes: [{ name: "v", emptyDir: {} }] });
});

test("applyStrategicMerge() treats lists of scalars as sets where the schema says so", () => {
  const before: JsonObject = { metadata: { finalizers: ["a/x", "b/y"] } };
  const apply = (metadata: JsonObject): Json =>
    applyStrategicMerge(before, { metadata }, builtInType("Pod"));
  assert.deepEqual(apply({ finalizers: ["b/y", "c/z"] }), {
    metadata: { finalizers: ["a/x", "b/y", "c/z"] },
  });
  assert.deepEqual(apply({ "$deleteFromPrimitiveList/finalizers": ["a/x"] }), {
    metadata: { finalizers: ["b/y"] },
  });
});

test("applyStrategicMerge() refuses what it cannot follow", () => {
  for (const patch of [
    { containers: [{ image: "x" }] },
    { containers: ["x"] },
    { nodeSelector: { $patch: "frobnicate" } },
    { "$setElementOrder/containers": "x" },
  ]) {
    const before = { containers: [{ name: "a" }], nodeSelector: { a: "b" } };
    assert.throws(() => merged(before, patch), SyntaxError, JSON.stringify(patch));
  }
});

test("parseJson() bounds nesting outside of strings", () => {
  const nested = (depth: number): Buffer => Buffer.from("[".repeat(depth) + "]".repeat(depth));
  assert.doesNotThrow(() => parseJson(nested(MAX_JSON_DEPTH)));
  assert.throws(() => parseJson(nested(MAX_JSON_DEPTH + 1)), SyntaxError);
  const text = `"${"[".repeat(1_000)}\\"${"{".repeat(1_000)}"`;
  assert.equal(parseJson(Buffer.from(text)), JSON.parse(text));
});

test("a JSON patch cannot grow without end, in size or in depth", () => {
  const doubling = Array.from({ length: 60 }, (_, at) => ({
    op: "copy",
    from: "",
    path: `/${at}`,
  }));
  assert.throws(() => applyJsonPatch({ a: "b".repeat(100) }, doubling), /the copies come to more/);
  const few = Array.from({ length: 9 }, (_, at) => ({ op: "copy", from: "/a", path: `/${at}` }));
  assert.equal(Object.keys(applyJsonPatch({ a: "b" }, few) as JsonObject).length, 10);
  for (const moves of [150, 4_000]) {
    const nesting = Array.from({ length: moves }, () => [
      { op: "add", path: "/b", value: {} },
      { op: "move", from: "/a", path: "/b/a" },
      { op: "move", from: "/b", path: "/a" },
    ]).flat();
    // Beyond ten thousand operations none is looked at.
    const patch = nesting.slice(0, 9_999);
    if (moves === 150) applyJsonPatch({ a: {} }, patch);
    else assert.throws(() => applyJsonPatch({ a: {} }, patch), /nested deeper than 256|stack/);
  }
});
