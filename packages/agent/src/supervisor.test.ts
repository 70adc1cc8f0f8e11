import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { type ProcessSpec, Supervised } from "./supervisor.ts";

function node(code: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  return {
    name: "child",
    command: process.execPath,
    args: ["-e", code],
    env: {},
    onLine: () => {},
    ...more,
  };
}

test("Supervised restarts a process that was killed, and close() ends it for good", async () => {
  const lines = new EventEmitter();
  const spec = node("console.log(process.pid); setInterval(() => {}, 1000)", {
    onLine: (line) => lines.emit("line", line),
  });
  await using child = new Supervised(spec, Log.silent());
  const [first] = await once(lines, "line");
  process.kill(Number(first), "SIGKILL");
  const [second] = await once(lines, "line");
  assert.notEqual(first, second);
  assert.equal(child.restarts, 1);
  await child.close();
  assert.throws(() => process.kill(Number(second), 0), { code: "ESRCH" });
});

test("Supervised does not restart a process that calls its settings wrong", async () => {
  const exits = new EventEmitter();
  const spec = node("process.exit(64)", { onExit: (code) => exits.emit("exit", code) });
  await using child = new Supervised(spec, Log.silent());
  assert.deepEqual(await once(exits, "exit"), [64]);
  assert.equal(child.restarts, 0);
  assert.equal(child.pid, undefined);
});

test("Supervised kills a process that ignores SIGTERM once its grace is over", async () => {
  const lines = new EventEmitter();
  const spec = node(
    "process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)",
    {
      onLine: (line) => lines.emit("line", line),
    },
  );
  const child = new Supervised(spec, Log.silent());
  const [pid] = await once(lines, "line");
  await child.close(20);
  assert.throws(() => process.kill(Number(pid), 0), { code: "ESRCH" });
});

test("Supervised.halt() keeps a process down until start()", async () => {
  const events = new EventEmitter();
  const spec = node("process.stdin.on('data', (d) => console.log(String(d).trim()))", {
    onLine: (line) => events.emit("line", line),
  });
  await using child = new Supervised(spec, Log.silent());
  child.write("one");
  assert.deepEqual(await once(events, "line"), ["one"]);
  await child.halt();
  assert.equal(child.pid, undefined);
  assert.equal(child.write("lost"), false);
  child.start();
  child.write("two");
  assert.deepEqual(await once(events, "line"), ["two"]);
  assert.equal(child.restarts, 0);
});
