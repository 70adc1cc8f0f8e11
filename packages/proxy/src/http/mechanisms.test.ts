import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodySink } from "@heddle/net/http";
import { BodyRecorder } from "@heddle/testkit/http-exchange";
import { HeaderMap } from "@heddle/wire/http/headers";
import { FakeTime } from "../testing/fake-time.ts";
import {
  defaultClassifier,
  grpcStatusOf,
  HTTP_CLASSIFIER,
  HTTP_FAILURE,
  HTTP_SUCCESS,
  isSuccess,
  PENDING,
  ProfileClassifier,
} from "./classify.ts";
import { ReplayBuffer } from "./replay.ts";
import { RetryBudget } from "./retry-budget.ts";
import { withRetryHeaders, withTimeoutHeaders } from "./retry-policy.ts";

const NONE = new HeaderMap();
const grpc = defaultClassifier(HeaderMap.of({ "content-type": "application/grpc+proto" }));
const status = (value: string): HeaderMap => HeaderMap.of({ "grpc-status": value });

test("[T01] plain HTTP fails by 5xx and nothing else", () => {
  for (const code of [200, 302, 400, 499]) {
    assert.equal(HTTP_CLASSIFIER.atHead(code, NONE), HTTP_SUCCESS);
  }
  for (const code of [500, 599]) assert.equal(HTTP_CLASSIFIER.atHead(code, NONE), HTTP_FAILURE);
});

test("[T02] gRPC is judged by its status, in headers or in trailers", () => {
  assert.equal(isSuccess(grpc.atHead(500, status("0"))), true);
  assert.equal(isSuccess(grpc.atHead(200, status("2"))), false);
  assert.equal(grpc.atHead(200, NONE), PENDING);
  assert.equal(isSuccess(grpc.atEnd(200, status("0"))), true);
  assert.equal(isSuccess(grpc.atEnd(200, status("4"))), false);
  assert.equal(grpcStatusOf(grpc.atEnd(200, status("99"))), 2);
});

test("[T03] gRPC without a status is a success, labelled unknown", () => {
  for (const trailers of [undefined, NONE, status("x")]) {
    const found = grpc.atEnd(200, trailers);
    assert.equal(isSuccess(found), true);
    assert.equal(grpcStatusOf(found), 2);
  }
});

test("[T04] a profile whose classes say nothing falls back to gRPC, then to 5xx", () => {
  const profile = new ProfileClassifier([{ matches: (code) => code === 404, isFailure: true }]);
  assert.equal(profile.atHead(404, NONE), HTTP_FAILURE);
  assert.equal(isSuccess(profile.atHead(200, status("13"))), false);
  assert.equal(profile.atHead(500, NONE), PENDING);
  assert.equal(isSuccess(profile.atEnd(200, status("4"))), false);
  assert.equal(profile.atEnd(500, undefined), HTTP_FAILURE);
  assert.equal(profile.atEnd(200, undefined), HTTP_SUCCESS);
});

function replayed(buffer: ReplayBuffer): BodyRecorder {
  const sink = new BodyRecorder();
  buffer.replay(sink);
  return sink;
}

function fed(maxBytes: number, ...chunks: string[]): ReplayBuffer {
  const buffer = new ReplayBuffer(maxBytes);
  // One buffer for all, as sockets lend it.
  const lent = Buffer.alloc(64);
  for (const chunk of chunks) {
    const length = lent.write(chunk, 7);
    buffer.data(lent, 7, 7 + length);
  }
  return buffer;
}

test("[S01] a body is sent again as it was, as often as needed, trailers included", () => {
  const buffer = fed(100, "one ", "two ", "three");
  buffer.end(HeaderMap.of({ sum: "3" }));
  for (let i = 0; i < 2; i++) {
    const sink = replayed(buffer);
    assert.equal(sink.text, "one two three");
    assert.equal(sink.trailers?.get("sum"), "3");
  }
  const empty = new ReplayBuffer(100);
  empty.end(undefined);
  assert.equal(replayed(empty).text, "");
});

test("[S03] replays at different times do not disturb each other", () => {
  const buffer = fed(100, "one ");
  const early = replayed(buffer);
  buffer.data(Buffer.from("two"), 0, 3);
  buffer.end(HeaderMap.of({ sum: "2" }));
  const late = replayed(buffer);
  late.trailers!.set("sum", "changed");
  const again = replayed(buffer);
  assert.deepEqual([early.text, late.text, again.text], ["one ", "one two", "one two"]);
  assert.equal(again.trailers?.get("sum"), "2");
});

test("[S04] the end is told last, and not before the body has ended", () => {
  const told: string[] = [];
  const sink: BodySink = {
    data: (bytes, start, end) => told.push(Buffer.from(bytes.subarray(start, end)).toString()),
    end: (trailers) => told.push(`end ${trailers?.get("sum")}`),
    abort: () => told.push("abort"),
  };
  const buffer = fed(100, "a", "b");
  buffer.replay(sink);
  assert.deepEqual(told.splice(0), ["a", "b"]);
  buffer.end(HeaderMap.of({ sum: "2" }));
  buffer.replay(sink);
  assert.deepEqual(told, ["a", "b", "end 2"]);
});

test("[S05] a body of the cap is kept, one byte more is not", () => {
  const exact = fed(8, "1234", "5678");
  exact.end(undefined);
  assert.equal(exact.isCapped, false);
  const over = fed(8, "1234", "56789");
  over.end(undefined);
  assert.equal(over.isCapped, true);
});

test("a budget of ratio 0.1 allows one retry per ten requests, beyond its reserve", () => {
  const time = new FakeTime();
  const config = { ttlMs: 10_000, ratio: 0.1, minPerSecond: 0 };
  const budget = new RetryBudget(config, () => time.nowMs());
  assert.equal(budget.withdraw(), false);
  for (let i = 0; i < 10; i++) budget.deposit();
  assert.equal(budget.withdraw(), true);
  assert.equal(budget.withdraw(), false);
  for (let i = 0; i < 10; i++) budget.deposit();
  time.jump(20_000);
  assert.equal(budget.withdraw(), false);
});

test("a budget's reserve allows its retries without any request, and ratio 0 only these", () => {
  for (const ratio of [0, 0.5, 1, 2]) {
    const time = new FakeTime();
    const config = { ttlMs: 2_000, ratio, minPerSecond: 2 };
    const budget = new RetryBudget(config, () => time.nowMs());
    for (let i = 0; i < 4; i++) assert.equal(budget.withdraw(), true, `${ratio} ${i}`);
    assert.equal(budget.withdraw(), false, String(ratio));
    if (ratio !== 0) continue;
    for (let i = 0; i < 100; i++) budget.deposit();
    assert.equal(budget.withdraw(), false);
  }
});

test("l5d-retry headers replace single fields, and what does not parse is ignored", () => {
  const headers = HeaderMap.of({
    "l5d-retry-http": "5xx,gateway-error,429,nonsense,400-410",
    "l5d-retry-grpc": "unavailable,internal,other",
    "l5d-retry-limit": "3",
    "l5d-retry-timeout": "1.5s",
    other: "stays",
  });
  const policy = withRetryHeaders(undefined, headers)!;
  assert.deepEqual(policy.statuses, [
    { low: 500, high: 599 },
    { low: 502, high: 504 },
    { low: 429, high: 429 },
    { low: 400, high: 410 },
  ]);
  assert.equal(policy.grpcCodes, (1 << 14) | (1 << 13));
  assert.equal(policy.maxRetries, 3);
  assert.equal(policy.timeoutMs, undefined);
  assert.equal(headers.size, 1);
  assert.equal(withRetryHeaders(undefined, new HeaderMap()), undefined);
});

test("l5d-request-timeout goes before l5d-timeout", () => {
  const headers = HeaderMap.of({
    "l5d-timeout": "1s",
    "l5d-request-timeout": "2s",
    "l5d-response-timeout": "300ms",
  });
  const none = { requestMs: undefined, responseMs: undefined, idleMs: 5 };
  const timeouts = withTimeoutHeaders(none, headers);
  assert.deepEqual(timeouts, { requestMs: 2_000, responseMs: 300, idleMs: 5 });
  assert.equal(headers.size, 0);
});
