import assert from "node:assert/strict";
import { test } from "node:test";
import { Echo } from "@heddle/testkit/echo-service";
import { startGrpcWorld as start, withStatus } from "@heddle/testkit/grpc-world";
import type { AnswerFeed, AnswerSink } from "./answer-feed.ts";
import { GrpcError } from "./error.ts";
import { GrpcStatus } from "./status.ts";

const { serverStream } = Echo.method;

/** Pushes what it is told to, and remembers what it heard. */
class Feed implements AnswerFeed<{ text: string }> {
  readonly heard: string[] = [];
  readonly attached = Promise.withResolvers<AnswerSink<{ text: string }>>();
  readonly detached = Promise.withResolvers<void>();
  onResume: () => void = () => {};

  attach(sink: AnswerSink<{ text: string }>): void {
    this.attached.resolve(sink);
  }

  resume(): void {
    this.heard.push("resume");
    this.onResume();
  }

  detach(): void {
    this.heard.push("detach");
    this.detached.resolve();
  }
}

test("answers may be pushed, at once and later, until they are complete", async () => {
  const feed = new Feed();
  await using world = await start({ serverStream: () => feed });
  const answers = world.client.serverStream(serverStream, {})[Symbol.asyncIterator]();
  const first = answers.next();
  const sink = await feed.attached.promise;
  sink.send({ text: "a" });
  assert.equal((await first).value?.text, "a");
  sink.send({ text: "b" });
  assert.equal((await answers.next()).value?.text, "b");
  const last = answers.next();
  sink.complete(undefined);
  assert.equal((await last).done, true);
  assert.deepEqual(feed.heard, []);
  await world.idle();
});

test("a feed may fail its call, and hears when its client leaves", async () => {
  const feeds = [new Feed(), new Feed()] as const;
  let calls = 0;
  await using world = await start({ serverStream: () => feeds[calls++]! });
  const failing = Array.fromAsync(world.client.serverStream(serverStream, {}));
  (await feeds[0].attached.promise).complete(new GrpcError(GrpcStatus.aborted, "enough"));
  await assert.rejects(failing, withStatus(GrpcStatus.aborted));
  assert.deepEqual(feeds[0].heard, []);
  const abort = new AbortController();
  const left = Array.fromAsync(
    world.client.serverStream(serverStream, {}, { signal: abort.signal }),
  );
  const sink = await feeds[1].attached.promise;
  abort.abort();
  await assert.rejects(left, withStatus(GrpcStatus.cancelled));
  await feeds[1].detached.promise;
  // Late words are nobody's.
  sink.send({ text: "late" });
  sink.complete(undefined);
  assert.deepEqual(feeds[1].heard, ["detach"]);
  await world.idle();
});

test("a feed sees that its client does not read, and hears when it does again", async () => {
  const feed = new Feed();
  await using world = await start({ serverStream: () => feed });
  const answers = world.client.serverStream(serverStream, {})[Symbol.asyncIterator]();
  const first = answers.next();
  const sink = await feed.attached.promise;
  const text = "x".repeat(32_768);
  let sent = 0;
  const fill = (): void => {
    for (; sent < 100 && sink.isOpen; sent++) sink.send({ text });
    if (sent === 100) sink.complete(undefined);
  };
  feed.onResume = fill;
  fill();
  assert.ok(sent < 100, `${sent} sent at once`);
  let read = (await first).done === true ? 0 : 1;
  while ((await answers.next()).done !== true) read++;
  assert.equal(read, 100);
  assert.ok(feed.heard.includes("resume"));
  await world.idle();
});
