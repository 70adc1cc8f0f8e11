import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { createInterface } from "node:readline";
import { before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Log } from "@heddle/base/log";
import { type Flow, NO_FLOW, type RequestHead } from "@heddle/net/http";
import { TestCa } from "@heddle/testkit/ca";
import { HeaderMap } from "@heddle/wire/http/headers";
import { type AdminScene, stageAdmin } from "../testing/admin-stage.ts";
import { ask } from "../testing/apps.ts";
import { LogStreams } from "./log-streams.ts";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** A reader of `/logs.json`. */
async function follow(scene: AdminScene, options: http.RequestOptions, body?: string) {
  const request = http.request({ host: "127.0.0.1", port: scene.port, agent: false, ...options });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  return {
    type: response.headers["content-type"],
    /** The message of the next event. */
    async next(): Promise<string> {
      const { value } = (await lines.next()) as { value: string };
      return JSON.parse(value).fields.message;
    },
    async ended(): Promise<void> {
      while (!(await lines.next()).done);
    },
    leave: (): void => void request.destroy(),
  };
}

test("[J25] /logs.json streams what its reader's filter lets pass, by GET and by QUERY", async () => {
  await using scene = await stageAdmin(ca);
  const { log } = scene.world.runtime;
  const [one, two] = [log.child("one"), log.child("two")];
  const first = await follow(scene, { path: "/logs.json?off,heddle%3A%3Aone=debug" });
  const second = await follow(
    scene,
    { path: "/logs.json", method: "QUERY" },
    "off,heddle::two=warn",
  );
  assert.equal(first.type, "application/json");
  one.debug?.("a");
  two.info("b");
  two.warn("c");
  one.info("d");
  assert.deepEqual([await first.next(), await first.next()], ["a", "d"]);
  assert.equal(await second.next(), "c");
  first.leave();
  // Nobody asks for it any more.
  while (one.debug !== undefined) await nextTurn();
  two.warn("e");
  assert.equal(await second.next(), "e");
});

test("[J25] what /logs.json refuses", async () => {
  await using scene = await stageAdmin(ca);
  const status = async (options: object): Promise<number> =>
    (await ask(scene.port, { path: "/logs.json", ...options })).status;
  assert.equal(await status({ path: "/logs.json?loud" }), 400);
  assert.equal(await status({ path: "/logs.json?%zz" }), 400);
  assert.equal(await status({ method: "QUERY", body: "heddle=loud" }), 400);
  assert.equal(await status({ method: "PUT", body: "info" }), 405);
  assert.equal(await status({ headers: { accept: "text/html" } }), 406);
  assert.equal(await status({ localAddress: "127.77.0.20" }), 403);
  const readers = [];
  for (let i = 0; i < 16; i++) readers.push(await follow(scene, { path: "/logs.json?warn" }));
  assert.equal(await status({}), 429);
  readers[0]!.leave();
  const isFull = async (): Promise<boolean> => {
    const request = http.request({ port: scene.port, path: "/logs.json?warn", agent: false }).end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    request.destroy();
    return response.statusCode === 429;
  };
  while (await isFull()) await nextTurn();
  await using off = await stageAdmin(ca, { isLogOff: true });
  assert.equal((await ask(off.port, { path: "/logs.json" })).status, 404);
});

test("readers of the log do not hold a shutdown up", async () => {
  const scene = await stageAdmin(ca);
  const reader = await follow(scene, { path: "/logs.json?info" });
  const closed = scene.admin.close(600_000);
  await reader.ended();
  await closed;
  await scene[Symbol.asyncDispose]();
});

test("a slow reader misses lines, is told how many, and costs no more memory", () => {
  const log = Log.root({ filter: "off", uptimeMs: () => 0, write: () => {} });
  const streams = new LogStreams(log);
  const got: { fields: { message: string; left?: number } }[] = [];
  let flow: Flow = NO_FLOW;
  const head = { version: "1.1", headers: new HeaderMap() } as RequestHead;
  const stop = streams.open("info", head, {
    head: (_head, given) => {
      flow = given;
    },
    data: (bytes, start, end) => {
      got.push(JSON.parse(Buffer.from(bytes.subarray(start, end)).toString()));
      // What sending says is not sent.
      log.info("sending");
    },
    end: () => {},
    abort: () => {},
  });
  log.info("first");
  flow.pause();
  for (let i = 0; i < 1_500; i++) log.info("late");
  assert.equal(got.length, 1);
  flow.resume();
  assert.equal(got.length, 1 + 1_000 + 1);
  assert.deepEqual(got.at(-1)!.fields, { message: "lines left out", left: 500 });
  stop();
  log.info("nobody");
  assert.equal(got.length, 1_002);
  assert.equal(streams.isFull, false);
});
