import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { type ProbeRound, runProbes } from "./probes.ts";

test("runProbes() calls a port dead after so many failures, and alive at the first success", async () => {
  const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const rounds = new EventEmitter();
  const stop = new AbortController();
  const running = runProbes({
    host: "127.0.0.1",
    ports: [port],
    intervalMs: 1,
    timeoutMs: 1_000,
    failures: 2,
    onRound: (round) => rounds.emit("round", round),
    signal: stop.signal,
  });
  const next = async (): Promise<ProbeRound> => (await once(rounds, "round"))[0] as ProbeRound;
  assert.equal((await next()).isReady, true);
  server.close();
  await once(server, "close");
  let failures = 0;
  for (let round = await next(); round.isReady; round = await next()) failures++;
  assert.ok(failures >= 1, "one failure is not yet a death");
  assert.deepEqual((await next()).dead, [{ port, cause: "ECONNREFUSED" }]);
  const again = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  await once(again, "listening");
  while (!(await next()).isReady) {}
  stop.abort();
  await running;
  again.close();
});

test("runProbes() calls a port that never answered dead from the first round", async () => {
  const stop = new AbortController();
  const rounds: ProbeRound[] = [];
  await runProbes({
    host: "127.0.0.1",
    ports: [1],
    intervalMs: 1,
    timeoutMs: 1_000,
    failures: 3,
    onRound: (round) => {
      rounds.push(round);
      stop.abort();
    },
    signal: stop.signal,
  });
  assert.equal(rounds[0]!.isReady, false);
});
