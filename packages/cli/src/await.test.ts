import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { runInProcess } from "./testing/run.ts";

/** Answers `/ready` with these, the last of them for ever. */
async function proxy(...statuses: readonly number[]): Promise<{ server: Server; port: string }> {
  const left = [...statuses];
  const server = createServer((request, response) => {
    const status = request.url === "/ready" ? (left.length > 1 ? left.shift() : left[0]) : 404;
    response.writeHead(status!).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  return { server, port: String(address.port) };
}

test("await ends with 0 as soon as the proxy is ready", async () => {
  const { server, port } = await proxy(503, 503, 200);
  try {
    assert.deepEqual(await runInProcess(["await", "--timeout=2m", `--port=${port}`]), {
      code: 0,
      out: "",
      err: "",
    });
  } finally {
    server.close();
  }
});

test("await ends with 1 after its time, and says what it found", async () => {
  const { server, port } = await proxy(503);
  try {
    const { code, err } = await runInProcess(["await", "--timeout=250ms", `--port=${port}`]);
    assert.equal(code, 1);
    assert.match(err, /longer than 250ms: its port \d+ answers \/ready with 503/);
  } finally {
    server.closeAllConnections();
    await once(server.close(), "close");
  }
  const { code, err } = await runInProcess(["await", "--timeout=0s", `--port=${port}`]);
  assert.equal(code, 1);
  assert.match(err, /ECONNREFUSED/);
});

for (const [flag, pattern] of [
  ["--port=0", /--port takes a TCP port, not "0"/],
  ["--port=x", /--port takes a TCP port, not "x"/],
  ["--timeout=soon", /--timeout takes a duration like 30s or 2m, not "soon"/],
] as const) {
  test(`await refuses ${flag}`, async () => {
    const { code, err } = await runInProcess(["await", flag]);
    assert.equal(code, 2);
    assert.match(err, pattern);
  });
}
