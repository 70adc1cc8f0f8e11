import assert from "node:assert/strict";
import net from "node:net";
import { before, test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { ask, TestApp } from "../testing/apps.ts";
import { add, balanced, detect, weightedAddr } from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

/** Ways in for machines where nobody is root: no capture rules, no original destinations. */

const WEB = "web.default.svc.cluster.local:80";

let ca: TestCa;

before(async () => {
  ca = await TestCa.root();
});

async function startWorld(env: Record<string, string>): Promise<TestWorld> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  return await TestWorld.start({ anchors: ca.pem, leaf, env });
}

function script(world: TestWorld, app: string): void {
  world.control.policies.set(WEB, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app))));
}

test("a declared listener forwards as if its service had been asked for, by authority", async () => {
  await using app = await TestApp.start("http1", ({ head }) => ({ body: head.authority }));
  await using world = await startWorld({
    HEDDLE_PROXY_OUTBOUND_LISTENERS: `127.0.0.1:0=${WEB}`,
  });
  script(world, app.authority);
  const [, declared] = await world.configuredOutbound();
  assert.equal((await ask(declared!.port, { authority: "anything" })).body, "");
  assert.equal(app.asked[0]!.head.headers.get("host"), "anything");
  assert.deepEqual(
    world.control.calls.filter((call) => call.startsWith("Watch ")),
    [`Watch ${WEB}`],
  );
  assert.equal(world.control.countOf(`GetProfile ${WEB}`), 1);
});

test("a captured listener without a NAT entry refuses", async () => {
  await using world = await startWorld({});
  const [captured] = await world.configuredOutbound();
  const socket = net.connect(captured!.port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n");
  await new Promise((resolve) => {
    socket.on("close", resolve);
    socket.on("error", () => {});
    socket.resume();
  });
  assert.equal(
    world.control.calls.some((call) => call.startsWith("Watch ")),
    false,
  );
});

test("an absolute-form request through the explicit proxy goes to the host that it names", async () => {
  await using app = await TestApp.start("http1", ({ head }) => ({ body: head.path }));
  await using world = await startWorld({ HEDDLE_PROXY_OUTBOUND_HTTP_PROXY_ADDR: "127.0.0.1:0" });
  script(world, app.authority);
  const [, explicit] = await world.configuredOutbound();
  const answer = await ask(explicit!.port, {
    path: `http://web.default.svc.cluster.local/there`,
    method: "POST",
    body: "a body that waits for discovery",
  });
  assert.equal(answer.body, "/there");
  assert.equal(app.asked[0]!.body, "a body that waits for discovery");
  const origin = await ask(explicit!.port, { path: "/no-host-in-the-target" });
  assert.equal(origin.status, 404);
});

test("a CONNECT tunnel is a connection to its target: detected, routed, or opaque", async () => {
  await using app = await TestApp.start("http1", () => ({ body: "through the tunnel" }));
  await using world = await startWorld({ HEDDLE_PROXY_OUTBOUND_HTTP_PROXY_ADDR: "127.0.0.1:0" });
  script(world, app.authority);
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.77.0.10", resolve));
  const { port: echoPort } = echo.address() as net.AddressInfo;
  const [, explicit] = await world.configuredOutbound();

  const web = await connectTunnel(explicit!.port, WEB);
  web.write("GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n");
  assert.match(await readToEnd(web), /through the tunnel$/);

  const raw = await connectTunnel(explicit!.port, `127.77.0.10:${echoPort}`);
  const text = "no HTTP, but a lot of it. ".repeat(20_000);
  raw.end(text);
  assert.equal(await readToEnd(raw), text);
  echo.close();
});

function connectTunnel(port: number, to: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.write(`CONNECT ${to} HTTP/1.1\r\nhost: ${to}\r\n\r\n`);
    socket.once("data", (chunk) => {
      const reply = chunk.toString();
      if (reply.startsWith("HTTP/1.1 200")) resolve(socket);
      else reject(new Error(reply));
    });
    socket.on("error", reject);
  });
}

function readToEnd(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => {
      socket.end();
      resolve(text);
    });
  });
}
