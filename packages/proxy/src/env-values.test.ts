import assert from "node:assert/strict";
import { test } from "node:test";
import {
  duration,
  durationOrNone,
  hostPort,
  ipSet,
  networks,
  portSet,
  socketAddresses,
  suffixes,
} from "./env-values.ts";

test("[V01] durations take an integer and a unit, and 0 alone", () => {
  for (const [text, ms] of [
    ["10ms", 10],
    [" 10s ", 10_000],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0", 0],
  ] as const) {
    assert.equal(duration(text), ms);
  }
  for (const text of ["", "10", "1.5s", "10 s", "10y", "-1s", "s", "99999999999999999d"]) {
    assert.throws(() => duration(text), SyntaxError, text);
  }
  assert.equal(durationOrNone(""), undefined);
});

test("[V02] suffix lists: empty entries ignored, lower-cased, trimmed outside only", () => {
  const set = suffixes(" svc.Cluster.local.,, example.com ");
  assert.ok(set.contains("web.ns.svc.cluster.local"));
  assert.ok(set.contains("example.com"));
  assert.ok(!set.contains("notexample.com"));
  assert.ok(suffixes(".").contains("anything.at.all"));
  assert.equal(suffixes("").suffixes.length, 0);
  assert.throws(() => suffixes("a b.com"), SyntaxError);
});

test("[V03] IP sets are addresses only", () => {
  assert.deepEqual([...ipSet("10.0.0.1,::1")], ["10.0.0.1", "::1"]);
  for (const text of ["", "10.0.0.0/8", "10.0.0.1, ::1", "x"]) {
    assert.throws(() => ipSet(text), SyntaxError, text);
  }
});

test("[V04] port sets: single ports and ranges in any order", () => {
  const ports = portSet(" 1-2, ,42 ,80-420");
  assert.equal(ports.size, 2 + 1 + 341);
  assert.ok(ports.has(42) && ports.has(80) && ports.has(420));
  for (const text of ["2-1", "1-", "-1", "x", "65536", "1-65536"]) {
    assert.throws(() => portSet(text), SyntaxError, text);
  }
  assert.equal(portSet("").size, 0);
});

test("addresses keep names and unwrap brackets", () => {
  assert.deepEqual(hostPort("localhost.:8086"), { host: "localhost.", port: 8086 });
  assert.deepEqual(hostPort("[::1]:1"), { host: "::1", port: 1 });
  assert.equal(socketAddresses("127.0.0.1:1,[::1]:1").length, 2);
  for (const text of ["127.0.0.1", "::1:80", "[1.2.3.4]:1", "a:70000", "a b:1", "x.1:1"]) {
    assert.throws(() => hostPort(text), SyntaxError, text);
  }
});

test("networks contain by prefix, per family", () => {
  const set = networks("10.0.0.0/8, 127.78.0.0/16 ,fd00::/8");
  for (const ip of ["10.255.0.1", "127.78.1.2", "fd12::1", "10.0.0.0"]) {
    assert.ok(set.has(ip), ip);
  }
  for (const ip of ["11.0.0.1", "127.0.0.1", "::1", "x"]) {
    assert.ok(!set.has(ip), ip);
  }
  assert.ok(networks("0.0.0.0/0").has("8.8.8.8"));
  assert.throws(() => networks("10.0.0.0/33"), SyntaxError);
});
