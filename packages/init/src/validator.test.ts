import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { parseTimeout, type ValidatorOptions, validateNetwork } from "./validator.ts";

interface Outcome {
  readonly isValid: boolean;
  readonly log: string;
}

/** Where the listener's port is, and everything else, unless it is said. */
async function validate(options: Partial<ValidatorOptions> = {}): Promise<Outcome> {
  const lines: string[] = [];
  const log = Log.root(
    { filter: "debug", uptimeMs: () => 0, write: (line) => lines.push(line) },
    "linkerd_network_validator",
  );
  const isValid = await validateNetwork({
    listen: { ip: "127.0.0.1", port: 0 },
    connect: { ip: "127.0.0.1", port: 1 },
    timeoutMs: 5_000,
    timeout: "5s",
    log,
    signal: new AbortController().signal,
    ...options,
  });
  return { isValid, log: lines.join("\n") };
}

/** Somebody else, who answers with this and no more. */
async function stranger(
  text: string | undefined,
): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    if (text !== undefined) socket.end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

test("validateNetwork() finds its own token", async () => {
  // An address of this process alone.
  const here = { ip: `127.93.${(process.pid >> 8) & 255}.${process.pid & 255}`, port: 4140 };
  const { isValid, log } = await validate({ listen: here, connect: here });
  assert.equal(isValid, true);
  for (const line of [
    `INFO linkerd_network_validator: Listening for connections on ${here.ip}:4140`,
    `INFO linkerd_network_validator: Connecting to ${here.ip}:4140`,
    "INFO linkerd_network_validator: Validated",
  ]) {
    assert.ok(log.includes(line), log);
  }
  assert.match(log, /token="[A-Za-z0-9]{63}\\n"/);
});

for (const [what, text] of [
  ["another token", "x".repeat(64)],
  ["part of one", "abc"],
  ["nothing", ""],
] as const) {
  test(`validateNetwork() fails where somebody else answers with ${what}`, async () => {
    await using other = await stranger(text);
    const { isValid, log } = await validate({ connect: { ip: "127.0.0.1", port: other.port } });
    assert.equal(isValid, false);
    assert.match(log, /ERROR .* expected client to receive "\w{63}\\n"; got ".*" instead/);
  });
}

test("validateNetwork() fails where nobody answers", async () => {
  const { isValid, log } = await validate();
  assert.equal(isValid, false);
  assert.match(log, /ERROR .*Cannot reach 127\.0\.0\.1:1: connect ECONNREFUSED/);
});

test("validateNetwork() fails where the port is taken", async () => {
  await using other = await stranger("");
  const { isValid, log } = await validate({ listen: { ip: "127.0.0.1", port: other.port } });
  assert.equal(isValid, false);
  assert.match(log, /ERROR .*Cannot listen on .*EADDRINUSE/);
});

test("validateNetwork() waits no longer than it may", async () => {
  await using other = await stranger(undefined);
  const connect = { ip: "127.0.0.1", port: other.port };
  const { isValid, log } = await validate({ connect, timeoutMs: 50, timeout: "50ms" });
  assert.equal(isValid, false);
  assert.match(log, /ERROR .*Failed to validate networking configuration timeout=50ms/);
});

test("validateNetwork() says which signal ended it", async () => {
  await using other = await stranger(undefined);
  const stop = new AbortController();
  const connect = { ip: "127.0.0.1", port: other.port };
  const outcome = validate({ connect, signal: stop.signal });
  stop.abort("SIGTERM");
  const { isValid, log } = await outcome;
  assert.equal(isValid, false);
  assert.match(log, /ERROR .*Killed by SIGTERM/);
});

test("parseTimeout() takes a number and a unit", () => {
  for (const [text, ms] of [
    ["0", 0],
    ["0ms", 0],
    ["120s", 120_000],
    ["120000ms", 120_000],
    ["2m", 120_000],
    ["2h", 7_200_000],
    [" 2d ", 172_800_000],
  ] as const) {
    assert.equal(parseTimeout(text), ms, text);
  }
  for (const text of ["120", "s", "foobars", "18446744073709551615s", "-1s", "1.5s", "30d"]) {
    assert.throws(() => parseTimeout(text), SyntaxError, text);
  }
});
