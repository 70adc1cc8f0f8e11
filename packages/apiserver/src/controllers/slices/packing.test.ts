import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import { MAX_ENDPOINTS, planSlices } from "./packing.ts";
import type { EndpointGroup } from "./wanted.ts";

const PORTS = [{ name: "", port: 80, protocol: "TCP" }];
const FRAME = { labels: { a: "b" } };

function endpoint(number: number): JsonObject {
  return { addresses: [`10.0.${number >> 8}.${number & 255}`], conditions: { ready: true } };
}

function group(...numbers: readonly number[]): EndpointGroup {
  const endpoints = new Map(
    numbers.map((number) => [
      String((endpoint(number)["addresses"] as Json[])[0]),
      endpoint(number),
    ]),
  );
  return { addressType: "IPv4", ports: PORTS, endpoints };
}

function slice(name: string, ...numbers: readonly number[]): JsonObject {
  return {
    metadata: { name, labels: { a: "b" } },
    addressType: "IPv4",
    ports: PORTS,
    endpoints: numbers.map(endpoint),
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

test("planSlices() makes slices of a hundred endpoints each", () => {
  const { create, update, remove } = planSlices([], [group(...range(0, 250))], FRAME);
  assert.deepEqual(
    create.map(({ endpoints }) => endpoints.length),
    [100, 100, 50],
  );
  assert.deepEqual([update, remove], [[], []]);
});

test("planSlices() leaves alone what is as it should be", () => {
  const plan = planSlices([slice("s", 1, 2)], [group(1, 2)], FRAME);
  assert.deepEqual(plan, { create: [], update: [], remove: [] });
  const relabelled = planSlices([slice("s", 1, 2)], [group(1, 2)], { labels: { a: "c" } });
  assert.equal(relabelled.update.length, 1);
});

test("planSlices() keeps endpoints where they are and fills the fullest slice that has room", () => {
  const present = [slice("full", ...range(0, 99)), slice("some", 500, 501)];
  const { create, update, remove } = planSlices(
    present,
    [group(...range(0, 99), 500, 501, 600, 601)],
    FRAME,
  );
  assert.deepEqual([create, remove], [[], []]);
  const sizes = new Map(update.map(({ name, endpoints }) => [name, endpoints.length]));
  assert.deepEqual(
    [...sizes],
    [
      ["full", MAX_ENDPOINTS],
      ["some", 3],
    ],
  );
});

test("planSlices() removes slices that are left empty, and those of other ports", () => {
  const other = { ...slice("other", 9), ports: [{ name: "", port: 81, protocol: "TCP" }] };
  const { create, update, remove } = planSlices(
    [slice("a", 1), slice("b", 2), other],
    [group(1)],
    FRAME,
  );
  assert.deepEqual([create, update], [[], []]);
  assert.deepEqual([...remove].sort(), ["b", "other"]);
});

test("planSlices() keeps the hints that others have set", () => {
  const hints = { forZones: [{ name: "z" }] };
  const present = { ...slice("s"), endpoints: [{ ...endpoint(1), hints }] };
  assert.deepEqual(planSlices([present], [group(1)], FRAME).update, []);
});
