import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { Collection } from "./collection.ts";
import { Entry } from "./entry.ts";

function entry(namespace: string, name: string, rv = 1): Entry {
  return new Entry({ resource: "/x", namespace, name }, rv, "{}");
}

function keys(entries: Iterable<Entry>): string[] {
  return [...entries].map(({ key }) => key);
}

test("Collection.from() gives a namespace in order, behind a key", () => {
  const collection = new Collection();
  for (const name of ["c", "a", "b"]) {
    collection.set(entry("n", name));
    collection.set(entry("n-2", name));
  }
  assert.deepEqual(keys(collection.from("n", undefined)), ["n/a", "n/b", "n/c"]);
  assert.deepEqual(keys(collection.from("n", "n/a")), ["n/b", "n/c"]);
  assert.deepEqual(keys(collection.from("", undefined)).length, 6);
  collection.delete("n/b");
  collection.set(entry("n", "b", 2));
  assert.deepEqual(keys(collection.from("n", undefined)), ["n/a", "n/b", "n/c"]);
});

test("Collection agrees with a naive one over random changes", () => {
  const random = seededRandom(11);
  const collection = new Collection();
  const naive = new Map<string, Entry>();
  for (let step = 0; step < 3_000; step++) {
    const one = entry(`n${seededInt(random, 3)}`, `o${seededInt(random, 40)}`, step);
    if (random() < 0.6) {
      collection.set(one);
      naive.set(one.key, one);
    } else {
      collection.delete(one.key);
      naive.delete(one.key);
    }
    if (step % 17 !== 0) continue;
    const namespace = `n${seededInt(random, 3)}`;
    const expected = [...naive.values()]
      .filter((other) => other.namespace === namespace)
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    assert.deepEqual([...collection.from(namespace, undefined)], expected);
    assert.equal(collection.size, naive.size);
  }
});
