import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "@heddle/apiserver/json/value";
import { StatusError } from "@heddle/apiserver/status-error";
import { matchesFields, parseFieldSelector } from "./field-selector.ts";
import { matchesLabels, parseLabelSelector, selectorOf } from "./label-selector.ts";
import { generateName, nameProblem } from "./names.ts";

const LABELS = { app: "web", "example.com/tier": "2", empty: "" };

const MATCHES: readonly (readonly [string, boolean])[] = [
  ["", true],
  ["app=web", true],
  ["app==web", true],
  ["app = web", true],
  ["app!=web", false],
  ["other!=x", true],
  ["app in (web,db)", true],
  ["app in (db)", false],
  ["app notin (db, x)", true],
  ["other notin (a)", true],
  ["example.com/tier", true],
  ["!app", false],
  ["!other", true],
  ["empty=", true],
  ["example.com/tier>1", true],
  ["example.com/tier<2", false],
  ["app>1", false],
  ["app=web,example.com/tier in (1,2),!other", true],
  ["app=web,other", false],
  ["toString", false],
];

test("parseLabelSelector() reads what kubectl writes", () => {
  for (const [text, expected] of MATCHES) {
    assert.equal(matchesLabels(parseLabelSelector(text), LABELS), expected, text);
  }
});

test("parseLabelSelector() refuses anything else", () => {
  for (const text of [
    "a=b=c",
    "a in",
    "a in (",
    "=b",
    "a b",
    "!",
    "a>b",
    "a in (x y)",
    "/a",
    "a=-",
  ]) {
    assert.throws(() => parseLabelSelector(text), StatusError, text);
  }
});

test("selectorOf() reads matchLabels and matchExpressions", () => {
  const selector = selectorOf({
    matchLabels: { app: "web" },
    matchExpressions: [{ key: "example.com/tier", operator: "In", values: ["1", "2"] }],
  });
  assert.equal(matchesLabels(selector, LABELS), true);
  assert.equal(matchesLabels(selector, { app: "web" }), false);
  assert.equal(matchesLabels(selectorOf({}), undefined), true);
});

test("parseFieldSelector() compares known fields and refuses others", () => {
  const readers = new Map([["spec.node", (o: JsonObject) => String(o["node"] ?? "")]]);
  const object: JsonObject = { metadata: { name: "a", namespace: "b" }, node: "n,1" };
  const matches = (text: string): boolean =>
    matchesFields(parseFieldSelector(text, readers), object);
  assert.equal(matches(""), true);
  assert.equal(matches("metadata.name=a"), true);
  assert.equal(matches("metadata.name!=a"), false);
  assert.equal(matches("metadata.name==a,metadata.namespace=b"), true);
  assert.equal(matches("spec.node=n\\,1"), true);
  assert.throws(() => matches("spec.other=x"), StatusError);
  assert.throws(() => matches("metadata.name"), StatusError);
});

test("nameProblem() knows what each kind of name may be", () => {
  assert.equal(nameProblem("a.b-c", "subdomain"), undefined);
  assert.notEqual(nameProblem("a.b", "label"), undefined);
  assert.notEqual(nameProblem("1a", "service"), undefined);
  assert.equal(nameProblem("1a", "label"), undefined);
  assert.notEqual(nameProblem("a".repeat(64), "label"), undefined);
  assert.notEqual(nameProblem("a".repeat(254), "subdomain"), undefined);
  assert.equal(nameProblem("system:node", "path-segment"), undefined);
  assert.notEqual(nameProblem("..", "path-segment"), undefined);
  assert.notEqual(nameProblem("a/b", "path-segment"), undefined);
});

test("generateName() keeps within what a label may be", () => {
  const name = generateName("x".repeat(100));
  assert.equal(name.length, 63);
  assert.equal(nameProblem(name, "label"), undefined);
  assert.notEqual(generateName("a-"), generateName("a-"));
});
