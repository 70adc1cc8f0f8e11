import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { MeshError } from "@heddle/base/errors";
import { Turn } from "./turn.ts";

test("a turn's work is done once, at its end, and what it asks for in the next turn", async () => {
  const turn = new Turn();
  const done: string[] = [];
  const later = { turnEnd: () => void done.push("later"), destroy: () => {} };
  const first = {
    turnEnd: () => {
      done.push("first");
      turn.atEnd(later);
    },
    destroy: () => {},
  };
  turn.atEnd(first);
  assert.deepEqual(done, []);
  await nextTurn();
  assert.deepEqual(done, ["first"]);
  await nextTurn();
  assert.deepEqual(done, ["first", "later"]);
});

test("one that throws is destroyed and reported, and harms no other", async () => {
  const bugs: unknown[] = [];
  const turn = new Turn({ guard: { report: (bug) => bugs.push(bug) } });
  const bug = new Error("bug in a handler");
  const reasons: string[] = [];
  turn.atEnd({
    turnEnd: () => {
      throw bug;
    },
    destroy: (reason: MeshError) => void reasons.push(reason.code),
  });
  let isDone = false;
  turn.atEnd({
    turnEnd: () => {
      isDone = true;
    },
    destroy: () => {},
  });
  await nextTurn();
  assert.deepEqual(bugs, [bug]);
  assert.deepEqual(reasons, ["bug"]);
  assert.equal(isDone, true);
});

test("the clock is read once a turn", async () => {
  let timeMs = 5;
  let reads = 0;
  const turn = new Turn({
    nowMs: () => {
      reads++;
      return timeMs;
    },
  });
  assert.equal(turn.nowMs(), 5);
  timeMs = 7;
  assert.equal(turn.nowMs(), 5);
  await nextTurn();
  assert.equal(turn.nowMs(), 7);
  assert.equal(reads, 2);
});
