import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamQueue } from "./stream-queue.ts";

test("StreamQueue gives what was pushed, in order, then waits", async () => {
  let closed = 0;
  const queue = new StreamQueue<number>(10, () => closed++);
  queue.push(1);
  queue.push(2);
  const items = queue[Symbol.asyncIterator]();
  assert.equal((await items.next()).value, 1);
  assert.equal((await items.next()).value, 2);
  const waiting = items.next();
  queue.push(3);
  assert.equal((await waiting).value, 3);
  queue.push(4);
  queue.end();
  assert.equal(closed, 1);
  assert.equal((await items.next()).value, 4);
  assert.equal((await items.next()).done, true);
  assert.equal(closed, 1);
});

test("[DT25] a queue that is full ends after what it holds, and takes nothing more", async () => {
  let closed = 0;
  const queue = new StreamQueue<number>(2, () => closed++);
  assert.deepEqual([queue.push(1), queue.push(2), queue.push(3)], [true, true, false]);
  assert.equal(closed, 1);
  assert.equal(queue.push(4), true);
  assert.deepEqual(await Array.fromAsync(queue), [1, 2]);
});

test("[DT42] leaving the iteration closes the queue, also while it waits", async () => {
  let closed = 0;
  const queue = new StreamQueue<number>(2, () => closed++);
  queue.push(1);
  for await (const item of queue) {
    assert.equal(item, 1);
    break;
  }
  assert.equal(closed, 1);
  queue.push(2);
  assert.deepEqual(await Array.fromAsync(queue), []);
  const other = new StreamQueue<number>(2, () => closed++);
  const items = other[Symbol.asyncIterator]();
  const waiting = items.next();
  other.end();
  assert.equal((await waiting).done, true);
  assert.equal(closed, 2);
});
