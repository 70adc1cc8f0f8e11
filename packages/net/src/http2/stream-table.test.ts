import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { Http2Stream, type StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** A table asks nothing of the host. */
const NO_HOST = {} as StreamHost;

function stream(id: number): Http2Stream {
  const made = new Http2Stream(NO_HOST, 0);
  made.id = id;
  return made;
}

test("StreamTable behaves as a Map over random additions and removals", () => {
  const random = seededRandom(11);
  const table = new StreamTable();
  const oracle = new Map<number, Http2Stream>();
  let id = 1;
  for (let i = 0; i < 20_000; i++) {
    const wanted = i < 10_000 ? 0.6 : 0.35;
    if (random() < wanted) {
      const added = stream(id);
      table.add(added);
      oracle.set(id, added);
      id += 2;
    } else if (oracle.size > 0) {
      const known = [...oracle.keys()].slice(0, 50);
      const chosen = known[seededInt(random, known.length)]!;
      const removed = oracle.get(chosen)!;
      assert.equal(table.remove(removed), true);
      assert.equal(table.remove(removed), false);
      oracle.delete(chosen);
    }
    assert.equal(table.size, oracle.size);
    const some = 1 + 2 * seededInt(random, id);
    assert.equal(table.get(some), oracle.get(some));
  }
  assert.deepEqual(
    table.all().map((s) => s.id),
    [...oracle.keys()],
  );
  for (const left of table.all()) assert.equal(table.remove(left), true);
  assert.equal(table.size, 0);
});
