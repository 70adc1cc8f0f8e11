import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TestClient } from "./testing/client.ts";
import { ServerProcess } from "./testing/server-process.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

test("server without free descriptors refuses newcomers, serves the rest, and recovers", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-faults-"));
  const server = await ServerProcess.start(dataDir, {}, 64);
  const crowd: Socket[] = [];
  try {
    const { url, caPem, token } = server;
    using early = new TestClient({ url, caPem, token });
    assert.equal((await early.get(MAPS)).code, 200);
    const { hostname, port } = new URL(url);
    const ends: Promise<unknown>[] = [];
    for (let at = 0; at < 100; at++) {
      const socket = connect(Number(port), hostname);
      socket.on("error", () => {});
      ends.push(once(socket, "close"));
      crowd.push(socket);
    }
    // Those for whom there is no descriptor are closed at once.
    await Promise.race(ends);
    assert.equal((await early.post(MAPS, { metadata: { name: "a" } })).code, 201);
    for (const socket of crowd) socket.destroy();
    await Promise.all(ends);
    using late = new TestClient({ url, caPem, token });
    assert.equal((await late.get(`${MAPS}/a`)).code, 200);
  } finally {
    for (const socket of crowd) socket.destroy();
    await server.end("SIGKILL");
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("server says that its disk is full, loses nothing, and goes on when there is room", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-faults-"));
  const server = await ServerProcess.start(dataDir, { maxPages: 256 });
  try {
    using admin = new TestClient(server);
    const kept: string[] = [];
    const create = async (name: string): Promise<number> => {
      const { code, body } = await admin.post(MAPS, {
        metadata: { name },
        data: { text: "x".repeat(20_000) },
      });
      if (code === 507) assert.match(String(body["message"]), /full/);
      else kept.push(name);
      return code;
    };
    for (let at = 0; (await create(`m${at}`)) === 201; at++);
    assert.equal((await admin.get("/livez")).code, 200);
    for (const name of kept) assert.equal((await admin.get(`${MAPS}/${name}`)).code, 200, name);
    for (const name of kept.splice(0, 5)) {
      assert.equal((await admin.delete(`${MAPS}/${name}`)).code, 200, name);
    }
    // Tombstones give their room up with the history that needs them.
    let code = 507;
    for (let at = 0; code === 507 && at < 5; at++) code = await create("again");
    assert.equal(code, 201);
    await server.end("SIGKILL");
    const reopened = await ServerProcess.start(dataDir);
    try {
      using client = new TestClient(reopened);
      for (const name of kept) assert.equal((await client.get(`${MAPS}/${name}`)).code, 200, name);
    } finally {
      await reopened.end("SIGTERM");
    }
  } finally {
    await server.end("SIGKILL");
    await rm(dataDir, { recursive: true, force: true });
  }
});
