import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { HeaderMap } from "./headers.ts";

function fields(headers: HeaderMap): [string, string][] {
  return Array.from({ length: headers.size }, (_, i) => [headers.nameAt(i), headers.valueAt(i)]);
}

test("HeaderMap keeps order and repeated names, and finds the first", () => {
  const headers = HeaderMap.of({ a: "1", b: "2" });
  headers.append("a", "3");
  assert.deepEqual(fields(headers), [
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
  ]);
  assert.deepEqual(
    [headers.get("a"), headers.getAll("a"), headers.get("c")],
    ["1", ["1", "3"], undefined],
  );
});

test("clone() is independent of its original", () => {
  const headers = HeaderMap.of({ a: "1" });
  const copy = headers.clone();
  copy.set("a", "2");
  headers.clear();
  assert.deepEqual([headers.size, copy.get("a")], [0, "2"]);
});

test("HeaderMap does what a plain list does", () => {
  const random = seededRandom(4);
  const names = ["a", "b", "c", "d"];
  const headers = new HeaderMap();
  let list: [string, string][] = [];
  for (let step = 0; step < 5000; step++) {
    const name = names[seededInt(random, names.length)]!;
    const value = String(step);
    const action = random();
    if (action < 0.6) {
      headers.append(name, value);
      list.push([name, value]);
    } else if (action < 0.8) {
      headers.delete(name);
      list = list.filter(([other]) => other !== name);
    } else {
      const at = list.findIndex(([other]) => other === name);
      headers.set(name, value);
      if (at < 0) list.push([name, value]);
      else
        list = list.flatMap((entry, i) =>
          i === at ? [[name, value]] : entry[0] === name ? [] : [entry],
        );
    }
    assert.deepEqual(fields(headers), list);
    if (list.length > 30) {
      headers.clear();
      list = [];
    }
  }
});
