import assert from "node:assert/strict";
import { test } from "node:test";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
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

async function take(stream: AsyncIterator<EncodedMessage>): Promise<EncodedMessage> {
  return (await stream.next()).value as EncodedMessage;
}

test("all streams of a view get the very same bytes", async () => {
  const { view, fan } = setUp(10);
  view.set([candidate("10.0.0.1")], [], 0);
  const streams = [fan.open(), fan.open()].map((one) => one[Symbol.asyncIterator]());
  const [first, second] = [await take(streams[0]!), await take(streams[1]!)];
  assert.equal(first, second);
  view.set([candidate("10.0.0.1"), candidate("10.0.0.2")], [], 0);
  const [third, fourth] = [await take(streams[0]!), await take(streams[1]!)];
  assert.equal(third, fourth);
  assert.notDeepEqual(first.message, third.message);
});

test("[DT25] a stream whose client is too slow ends, is counted, and harms no other", async () => {
  const { view, fan, counts } = setUp(2);
  const slow = fan.open();
  const quick = fan.open()[Symbol.asyncIterator]();
  for (let i = 1; i <= 3; i++) {
    view.set([candidate(`10.0.0.${i}`)], [], 0);
    await take(quick);
    if (i > 1) await take(quick);
  }
  assert.equal((await Array.fromAsync(slow)).length, 2);
  assert.equal(counts.filter((one) => one === "overflowed").length, 1);
  view.set([], [], 0);
  assert.ok(await take(quick));
});

test("a view without streams is let go", async () => {
  const { view, fan, used } = setUp(2);
  view.set([candidate("10.0.0.1")], [], 0);
  const stream = fan.open()[Symbol.asyncIterator]();
  await take(stream);
  assert.equal(used(), true);
  await stream.return?.();
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
