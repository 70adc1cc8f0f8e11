import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerClient } from "../testing/answer-client.ts";
import type { Candidate } from "./candidates.ts";
import type { Endpoint } from "./endpoint.ts";
import { EndpointView } from "./endpoint-view.ts";
import { endpointMessages, Fan, type ViewMeter } from "./streams.ts";

function candidate(ip: string): Candidate {
  return {
    ip,
    port: 80,
    hostname: undefined,
    zone: undefined,
    forZones: [],
    backing: undefined,
    family: undefined,
    isOpaque: false,
    gatewayIdentity: undefined,
    authorityOverride: undefined,
  };
}

function translate({ ip, port }: Candidate): Endpoint {
  return {
    ip,
    port,
    weight: 10_000,
    labels: [],
    identity: undefined,
    hint: undefined,
    authorityOverride: undefined,
    hasHttp2Params: false,
  };
}

function setUp(capacity: number): {
  view: EndpointView;
  fan: Fan;
  counts: string[];
  used: () => boolean;
} {
  const counts: string[] = [];
  let isUsed = true;
  const view = new EndpointView({ translate, onUnused: () => (isUsed = false) });
  const meter: ViewMeter = {
    opened: () => counts.push("opened"),
    closed: () => counts.push("closed"),
    updated: () => counts.push("updated"),
    overflowed: () => counts.push("overflowed"),
  };
  const fan = new Fan(endpointMessages(view, undefined), capacity, meter);
  return { view, fan, counts, used: () => isUsed };
}

test("all streams of a view get the very same bytes", () => {
  const { view, fan } = setUp(10);
  view.set([candidate("10.0.0.1")], [], 0);
  const [one, other] = [AnswerClient.of(fan.open()), AnswerClient.of(fan.open())];
  view.set([candidate("10.0.0.1"), candidate("10.0.0.2")], [], 0);
  assert.equal(one.seen.length, 2);
  assert.equal(one.seen[0], other.seen[0]);
  assert.equal(one.seen[1], other.seen[1]);
  assert.notEqual(one.seen[0], one.seen[1]);
});

test("[DT25] a stream whose client is too slow ends, is counted, and harms no other", () => {
  const { view, fan, counts } = setUp(2);
  const slowStream = fan.open();
  const slow = AnswerClient.of(slowStream);
  slow.isOpen = false;
  const quick = AnswerClient.of(fan.open());
  for (let i = 1; i <= 3; i++) view.set([candidate(`10.0.0.${i}`)], [], 0);
  assert.deepEqual(slow.seen, []);
  slow.isOpen = true;
  slowStream.resume();
  assert.deepEqual([slow.seen.length, slow.seen.at(-1)], [3, "end"]);
  assert.equal(counts.filter((one) => one === "overflowed").length, 1);
  const before = quick.seen.length;
  view.set([], [], 0);
  assert.equal(quick.seen.length, before + 1);
});

test("a view without streams is let go", () => {
  const { view, fan, used } = setUp(2);
  view.set([candidate("10.0.0.1")], [], 0);
  const stream = fan.open();
  AnswerClient.of(stream);
  assert.equal(used(), true);
  stream.detach();
  assert.equal(used(), false);
});

test("labels of the set that change are told with every endpoint", async () => {
  const { view } = setUp(2);
  const updates: number[] = [];
  view.subscribe(({ add }) => updates.push(add.length));
  const both = [candidate("10.0.0.1"), candidate("10.0.0.2")];
  view.set(both, [["service", "a"]], 0);
  view.set(both, [["service", "a"]], 0);
  view.set(both, [["service", "b"]], 0);
  assert.deepEqual(updates, [2, 2]);
});
