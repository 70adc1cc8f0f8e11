import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { Log } from "@heddle/base/log";
import { TestCa } from "@heddle/testkit/ca";
import type { AdmissionHandler } from "./review.ts";
import { WebhookServer } from "./server.ts";

const NAME = "webhook.test";
let ca: TestCa;
let folder: string;

before(async () => {
  ca = await TestCa.root();
  folder = mkdtempSync(join(tmpdir(), "heddle-webhook-"));
  await certify();
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function certify(): Promise<void> {
  const leaf = await ca.leaf({ sans: [{ dns: NAME }] });
  writeFileSync(join(folder, "tls.crt"), leaf.chainPem);
  writeFileSync(join(folder, "tls.key"), leaf.keyPem);
}

function start(handler: AdmissionHandler, onLine: (line: string) => void = () => {}) {
  return WebhookServer.start({
    at: { ip: "127.0.0.1", port: 0 },
    tlsFolder: folder,
    handlers: new Map([["/", handler]]),
    log: Log.root({ filter: "info", uptimeMs: () => 0, write: onLine }),
    reloadMs: 10,
  });
}

const allow: AdmissionHandler = async ({ request: { uid } }) => ({ uid, allowed: true });

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post(server: WebhookServer, body: string, path = "/", method = "POST"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: "127.0.0.1",
        port: server.address.port,
        servername: NAME,
        ca: ca.pem,
        path,
        method,
        agent: new Agent({ keepAlive: true }),
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

const review = (uid: string): object => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: { uid, kind: { group: "", version: "v1", kind: "Pod" }, namespace: "shop" },
});

test("[IJ30] an empty body is answered with nothing, what is no review is refused", async () => {
  await using server = await start(allow);
  assert.deepEqual(await post(server, ""), { status: 200, text: "" });
  for (const [body, why] of [
    ["{", /JSON/],
    ["[]", /no AdmissionReview/],
    ["{}", /no request/],
    ['{"request":{"kind":{"kind":"Pod"}}}', /no uid/],
    ['{"request":{"uid":"1"}}', /no kind/],
  ] as const) {
    const { status, text } = await post(server, body);
    assert.equal(status, 400, body);
    assert.match(text, why);
  }
  assert.equal((await post(server, "x".repeat(10 * 1024 * 1024 + 1))).status, 500);
  assert.equal((await post(server, "{}", "/nowhere")).status, 404);
  assert.equal((await post(server, "", "/", "GET")).status, 404);
  const { status, text } = await post(server, JSON.stringify(review("7")));
  assert.equal(status, 200);
  // The request comes back with the answer, in its own version.
  assert.deepEqual(JSON.parse(text), {
    ...review("7"),
    response: { uid: "7", allowed: true },
  });
});

test("a handler's bug is a 500, a log line, and nobody else's trouble", async () => {
  const lines: string[] = [];
  const handler: AdmissionHandler = async (asked) => {
    if (asked.request.uid === "bad") throw new TypeError("a bug");
    return allow(asked);
  };
  await using server = await start(handler, (line) => lines.push(line));
  assert.equal((await post(server, JSON.stringify(review("bad")))).status, 500);
  assert.ok(lines.some((line) => line.includes("webhook failed") && line.includes("a bug")));
  assert.equal((await post(server, JSON.stringify(review("good")))).status, 200);
});

test("a review that is nested without end is refused, and nothing breaks", async () => {
  const lines: string[] = [];
  await using server = await start(allow, (line) => lines.push(line));
  const deep = "[".repeat(1_000_000) + "]".repeat(1_000_000);
  const { status, text } = await post(
    server,
    `{"request":{"uid":"1","kind":{"kind":"Pod"},"object":${deep}}}`,
  );
  assert.equal(status, 400);
  assert.match(text, /nested deeper/);
  assert.ok(!lines.some((line) => line.includes("failed")));
});

test("a caller that goes away in the middle of its body is no failure of ours", async () => {
  const lines: string[] = [];
  await using server = await start(allow, (line) => lines.push(line));
  const socket = connect({
    port: server.address.port,
    host: "127.0.0.1",
    ca: ca.pem,
    servername: NAME,
  });
  await once(socket, "secureConnect");
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
  socket.end();
  await once(socket.resume(), "close");
  assert.equal((await post(server, JSON.stringify(review("good")))).status, 200);
  assert.deepEqual(
    lines.filter((line) => !line.includes("listening")),
    [],
  );
});

test("bodies of all callers together are bounded, and room comes back", async () => {
  await using server = await start(allow);
  const { port } = server.address;
  const size = 9_000_000;
  const head = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n\r\n`;
  const holders = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const socket = connect({ port, host: "127.0.0.1", ca: ca.pem, servername: NAME });
      await once(socket, "secureConnect");
      socket.write(head);
      await new Promise((resolve) => socket.write(Buffer.alloc(size - 1, 0x20), resolve));
      return socket;
    }),
  );
  // Eight times nine is more than it takes: one of them was told so.
  const [answer] = (await Promise.race(holders.map((socket) => once(socket, "data")))) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 503 /);
  for (const socket of holders) socket.destroy();
  const { status } = await post(server, JSON.stringify(review("late")));
  assert.ok(status === 200 || status === 503);
  while ((await post(server, JSON.stringify(review("later")))).status !== 200);
});

test("[IJ31] the server ends with its requests answered", async () => {
  const asked = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const server = await start(async (one) => {
    asked.resolve();
    await goOn.promise;
    return allow(one);
  });
  const answer = post(server, JSON.stringify(review("8")));
  await asked.promise;
  const closed = server.close();
  await assert.rejects(post(server, ""), { code: "ECONNREFUSED" });
  goOn.resolve();
  assert.equal((await answer).status, 200);
  await closed;
});

test("TLS 1.2 is refused, and a new certificate is served without a restart", async () => {
  const reloaded = Promise.withResolvers<void>();
  const warned = Promise.withResolvers<void>();
  await using server = await start(allow, (line) => {
    if (line.includes("read again")) reloaded.resolve();
    if (line.includes("not usable")) warned.resolve();
  });
  const { port } = server.address;
  const options = { port, host: "127.0.0.1", servername: NAME, ca: ca.pem };
  const refused = Promise.withResolvers<string>();
  connect({ ...options, maxVersion: "TLSv1.2" }).once("error", (error: NodeJS.ErrnoException) =>
    refused.resolve(error.code ?? ""),
  );
  assert.match(await refused.promise, /ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION/);
  const serial = async (): Promise<string> => {
    const socket = connect(options);
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const first = await serial();
  // Half-written files change nothing.
  writeFileSync(join(folder, "tls.key"), "-----BEGIN");
  await warned.promise;
  assert.equal(await serial(), first);
  await certify();
  await reloaded.promise;
  assert.notEqual(await serial(), first);
});

test("without a certificate it does not start, and says which file is missing", async () => {
  await assert.rejects(
    WebhookServer.start({
      at: { ip: "127.0.0.1", port: 0 },
      tlsFolder: join(folder, "nowhere"),
      handlers: new Map(),
      log: Log.silent(),
    }),
    (error: Error) => error.message.includes("nowhere/tls.crt"),
  );
});
