import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { APP_IP, Http2Asker } from "../testing/apps.ts";
import { add, balanced, httpRetry, rule, rules, weightedAddr } from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

/** A client in the middle of a chunked POST, and an application with a say for each attempt. */
async function stage(
  answer: (attempt: number, request: http.IncomingMessage, response: http.ServerResponse) => void,
): Promise<{ client: Socket; parts: AsyncDisposableStack }> {
  await using parts = new AsyncDisposableStack();
  let attempts = 0;
  const app = http.createServer((request, response) => answer(++attempts, request, response));
  app.listen(0, APP_IP);
  await once(app, "listening");
  parts.defer(() => {
    app.closeAllConnections();
    app.close();
  });
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = parts.use(await TestWorld.start({ anchors: ca.pem, leaf }));
  const retry = httpRetry(1, [[500, 599]]);
  world.control.policies.set(TARGET, Script.of(rules(rule(balanced(WEB), { retry }))));
  const { port } = app.address() as AddressInfo;
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(`${APP_IP}:${port}`))));
  const client = connect((await world.outbound(TARGET)).port, "127.0.0.1");
  parts.defer(() => void client.destroy());
  client.write("POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n");
  client.write(chunk("first "));
  return { client, parts: parts.move() };
}

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const LAST_CHUNK = "0\r\n\r\n";

test("[S02] a body that broke off half way is sent again and goes on as it comes", async () => {
  let received = "";
  const { client, parts } = await stage((attempt, request, response) => {
    request.on("error", () => undefined);
    request.once("data", () => {
      if (attempt === 1) request.destroy();
      // Only now, when the second attempt is under way, comes the rest.
      else client.write(chunk("second") + LAST_CHUNK);
    });
    if (attempt === 1) return;
    request.on("data", (bytes) => {
      received += String(bytes);
    });
    request.on("end", () => response.end("done"));
  });
  await using _ = parts;
  const [head] = await once(client, "data");
  assert.match(String(head), /^HTTP\/1\.1 200 /);
  assert.equal(received, "first second");
});

test("[S02] an early refusal is tried again though the body goes on", async () => {
  let received = "";
  const { client, parts } = await stage((attempt, request, response) => {
    if (attempt === 1) {
      request.once("data", () => response.writeHead(503).end("busy"));
      request.on("error", () => undefined);
      return;
    }
    request.once("data", () => client.write(chunk("second") + LAST_CHUNK));
    request.on("data", (bytes) => {
      received += String(bytes);
    });
    request.on("end", () => response.end("done"));
  });
  await using _ = parts;
  const [head] = await once(client, "data");
  assert.match(String(head), /^HTTP\/1\.1 200 /);
  assert.equal(received, "first second");
});

/** An application whose first answer breaks off when the messages `said` are out. */
async function breaksOff(...said: string[]): Promise<void> {
  await using parts = new AsyncDisposableStack();
  let attempts = 0;
  const app = http2.createServer();
  app.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.respond({ "content-type": "application/grpc" }, { waitForTrailers: true });
    if (++attempts === 1) {
      for (const message of said) stream.write(message);
      // All that is out when the answer to the ping is back; then the instance is gone.
      stream.session!.ping(() => stream.session!.socket.destroy());
      return;
    }
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end("answer");
  });
  app.listen(0, APP_IP);
  await once(app, "listening");
  parts.defer(() => void app.close());
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  const world = parts.use(await TestWorld.start({ anchors: ca.pem, leaf }));
  const route = rule(balanced(WEB), { allowsHeaders: true });
  world.control.policies.set(TARGET, Script.of(rules(route)));
  const { port } = app.address() as AddressInfo;
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(`${APP_IP}:${port}`))));
  const client = parts.use(await Http2Asker.connect((await world.outbound(TARGET)).port));
  const answer = await client.ask({
    method: "POST",
    headers: { "content-type": "application/grpc", "l5d-retry-grpc": "unavailable" },
    body: "question",
  });
  assert.equal(answer.body, "answer");
  assert.equal(answer.trailers?.get("grpc-status"), "0");
}

test("a gRPC answer that breaks off before its status is tried again as unavailable", async () => {
  await breaksOff();
  await breaksOff("the first message");
  await breaksOff("a first", "a second", "and a third message");
});
