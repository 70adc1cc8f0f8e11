import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamQueue } from "./stream-queue.ts";
import { AnswerClient } from "./testing/answer-client.ts";

test("StreamQueue gives what was pushed, in order, before and after it has a client", () => {
  let closed = 0;
  const queue = new StreamQueue<number>(10, { streamClosed: () => closed++ });
  queue.push(1);
  queue.push(2);
  const client = AnswerClient.of(queue);
  queue.push(3);
  assert.deepEqual(client.seen, [1, 2, 3]);
  queue.end();
  assert.equal(closed, 1);
  assert.deepEqual(client.seen, [1, 2, 3, "end"]);
});

test("a client that is slow gets all in order, as far as it reads, and the end last", () => {
  let closed = 0;
  const queue = new StreamQueue<number>(10, { streamClosed: () => closed++ });
  const client = AnswerClient.of(queue);
  client.isOpen = false;
  queue.push(1);
  queue.push(2);
  queue.end();
  assert.equal(closed, 1);
  assert.deepEqual(client.seen, []);
  const send = client.send.bind(client);
  client.send = (answer) => {
    send(answer);
    client.isOpen = false;
  };
  client.isOpen = true;
  queue.resume();
  assert.deepEqual(client.seen, [1]);
  client.isOpen = true;
  queue.resume();
  assert.deepEqual(client.seen, [1, 2, "end"]);
});

test("[DT25] a queue that is full ends after what it holds, and takes nothing more", () => {
  let closed = 0;
  const queue = new StreamQueue<number>(2, { streamClosed: () => closed++ });
  assert.deepEqual([queue.push(1), queue.push(2), queue.push(3)], [true, true, false]);
  assert.equal(closed, 1);
  assert.equal(queue.push(4), true);
  const client = AnswerClient.of(queue);
  assert.deepEqual(client.seen, [1, 2, "end"]);
});

test("[DT42] a client that leaves closes the queue, once, and hears nothing more", () => {
  let closed = 0;
  const queue = new StreamQueue<number>(2, { streamClosed: () => closed++ });
  const client = AnswerClient.of(queue);
  queue.push(1);
  queue.detach();
  assert.equal(closed, 1);
  queue.push(2);
  queue.end();
  queue.resume();
  assert.deepEqual(client.seen, [1]);
  assert.equal(closed, 1);
});
