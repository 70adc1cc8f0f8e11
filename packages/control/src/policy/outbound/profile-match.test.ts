import assert from "node:assert/strict";
import { test } from "node:test";
import type { PathMatch } from "@heddle/model/route/http-routes";
import type { RequestMatch } from "../../destination/profile-rules.ts";
import { PatternBudget } from "../pattern-budget.ts";
import { alternativesOf, literalStart, meet } from "./profile-match.ts";

const path = (regex: string): RequestMatch => ({ type: "path", regex });
const method = (name: string): RequestMatch => ({ type: "method", method: name });
const prefix = (of: string): PathMatch => ({ kind: "prefix", prefix: of });
const exact = (of: string): PathMatch => ({ kind: "exact", path: of });
const regex = (of: string): PathMatch => ({ kind: "regex", pattern: of });

const read = (condition: RequestMatch) => alternativesOf(condition, new PatternBudget());

test("alternativesOf() reads paths and methods, all and any of them", () => {
  assert.deepEqual(read(path("/books/[0-9]+")), [
    { path: regex("/books/[0-9]+"), method: undefined },
  ]);
  assert.deepEqual(read(path("/books\\.json")), [
    { path: exact("/books.json"), method: undefined },
  ]);
  assert.deepEqual(read(path("/.*")), [{ path: undefined, method: undefined }]);
  const both: RequestMatch = {
    type: "all",
    matches: [path("/a"), { type: "any", matches: [method("GET"), method("PUT")] }],
  };
  assert.deepEqual(read(both), [
    { path: exact("/a"), method: "GET" },
    { path: exact("/a"), method: "PUT" },
  ]);
});

test("alternativesOf() refuses what no route can say, and what multiplies", () => {
  assert.throws(() => read({ type: "not", match: method("GET") }), /cannot say `not`/);
  const never: RequestMatch = { type: "all", matches: [method("GET"), method("PUT")] };
  assert.throws(() => read(never), /never holds/);
  const many: RequestMatch = { type: "any", matches: [..."abcdefg"].map((one) => path(`/${one}`)) };
  const verbs: RequestMatch = { type: "any", matches: [..."ABCDEFG"].map(method) };
  assert.throws(() => read({ type: "all", matches: [many, verbs] }), /more than 32 alternatives/);
  assert.throws(() => read(path("(")), SyntaxError);
});

test("literalStart() is what every path begins with that the pattern means", () => {
  for (const [pattern, start] of [
    ["/books/[^/]*", "/books/"],
    ["^/books/", "/books/"],
    ["/books/\\d+", "/books/"],
    ["/book\\.s", "/book.s"],
    ["/books?", "/book"],
    ["/books*", "/book"],
    ["/books{0,2}", "/book"],
    ["/books+", "/books"],
    ["/a|/b", ""],
    ["/a/(b|c)", "/a/"],
    ["/a/[|]", "/a/"],
    ["(?i)/a", ""],
    ["/a\\", "/a"],
  ] as const) {
    assert.equal(literalStart(pattern), start, pattern);
  }
});

for (const [route, profile, wanted] of [
  [undefined, regex("/a/.*"), regex("/a/.*")],
  [prefix("/"), regex("/a/.*"), regex("/a/.*")],
  [prefix("/a"), undefined, prefix("/a")],
  [prefix("/a/"), regex("/a/[0-9]+"), regex("/a/[0-9]+")],
  [prefix("/a"), regex("/b/.*"), "none"],
  [prefix("/book"), regex("/books/.*"), "none"],
  [prefix("/books"), regex("/book"), "throws"],
  [prefix("/books"), regex("/.*/x"), "throws"],
  // It may mean /bookshelf too.
  [prefix("/books"), regex("/books.*"), "throws"],
  [prefix("/books"), exact("/books"), exact("/books")],
  [prefix("/books"), exact("/bookshelf"), "none"],
  [exact("/a/1"), regex("/a/[0-9]"), exact("/a/1")],
  [exact("/a/x"), regex("/a/[0-9]"), "none"],
  [exact("/a"), exact("/a"), exact("/a")],
  [regex("/a/.*"), exact("/a/1"), exact("/a/1")],
  [regex("/a/.*"), regex("/a/.*"), regex("/a/.*")],
  [regex("/a/.*"), regex("/a/1.*"), "throws"],
] as const) {
  const name = (of: PathMatch | undefined): string => JSON.stringify(of ?? "any path");
  test(`meet() of ${name(route)} and ${name(profile)} is ${JSON.stringify(wanted)}`, () => {
    const match = route === undefined ? {} : { path: route };
    const ask = () => meet(match, { path: profile, method: undefined });
    if (wanted === "throws") assert.throws(ask, /may mean paths within/);
    else assert.deepEqual(ask()?.path ?? "none", wanted);
  });
}

test("meet() keeps a match's headers, and tells methods apart", () => {
  const headers = [{ name: "x", exact: "1" }];
  const get = { path: undefined, method: "GET" };
  assert.deepEqual(meet({ headers }, get), { headers, method: "GET" });
  assert.deepEqual(meet({ headers, method: "GET" }, get), { headers, method: "GET" });
  assert.equal(meet({ method: "PUT" }, get), undefined);
});
