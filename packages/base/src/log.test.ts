import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "./log.ts";

function logTo(lines: string[], filter: string, format: "plain" | "json" = "plain"): Log {
  return Log.root({ filter, format, uptimeMs: () => 1_500, write: (line) => lines.push(line) });
}

test("Log filters by the longest target that fits", () => {
  const lines: string[] = [];
  const log = logTo(lines, "warn,heddle::proxy=debug");
  log.info("dropped");
  log.child("proxy").debug?.("kept");
  log.child("proxyx").info("dropped");
  assert.deepEqual(lines, ["[    1.500000s] DEBUG heddle::proxy: kept"]);
});

test("Log.debug is undefined where it is off, so that a guarded line costs nothing", () => {
  assert.equal(logTo([], "info").debug, undefined);
});

test("Log.setFilter() takes effect on logs that exist already", () => {
  const lines: string[] = [];
  const root = logTo(lines, "warn");
  const child = root.child("a");
  child.info("one");
  root.setFilter("info");
  child.info("two");
  assert.equal(lines.length, 1);
  assert.throws(() => root.setFilter("loud"), SyntaxError);
  assert.equal(root.filter, "info");
});

test("Log quotes what a peer sent, so that no line can be forged", () => {
  const lines: string[] = [];
  logTo(lines, "info").info("name", { name: "a\nb \u001b[31m", n: 3, ok: true });
  assert.deepEqual(lines, [
    '[    1.500000s]  INFO heddle: name name="a\\nb \\u001b[31m" n=3 ok=true',
  ]);
});

test("Log writes JSON with message and fields", () => {
  const lines: string[] = [];
  logTo(lines, "info", "json").info("ready", { port: 4143 });
  assert.deepEqual(JSON.parse(lines[0]!), {
    timestamp: "[    1.500000s]",
    level: "INFO",
    fields: { message: "ready", port: 4143 },
    target: "heddle",
  });
});

test("Log.follow() has filters of its own, and changes nothing for others", () => {
  const lines: string[] = [];
  const root = logTo(lines, "warn");
  const proxy = root.child("proxy");
  const [all, some]: [string[], string[]] = [[], []];
  const stopAll = root.follow("debug", (line) => all.push(line));
  root.follow("off,heddle::proxy=info", (line) => some.push(line));
  root.debug?.("one");
  proxy.info("two", { n: 1 });
  stopAll();
  proxy.warn("three");
  assert.equal(proxy.debug, undefined);
  const messages = (read: string[]): string[] => read.map((l) => JSON.parse(l).fields.message);
  assert.deepEqual(
    [messages(all), messages(some)],
    [
      ["one", "two"],
      ["two", "three"],
    ],
  );
  assert.deepEqual(lines, ["[    1.500000s]  WARN heddle::proxy: three"]);
  assert.throws(() => root.follow("loud", () => {}), /unknown log level "loud"/);
});
