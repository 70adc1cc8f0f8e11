import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { WebSocketServer } from "ws";
import { KubeClient } from "./client.ts";
import { type Credentials, fixedCredentials } from "./credentials.ts";
import { startPortForward } from "./port-forward.ts";
import { TestKubelet, type TestKubeletOptions } from "./testing/kubelet.ts";

interface World extends AsyncDisposable {
  readonly client: KubeClient;
  readonly kubelet: TestKubelet;
}

async function world(
  options: TestKubeletOptions,
  credentials: Credentials = fixedCredentials("Bearer good"),
): Promise<World> {
  const kubelet = await TestKubelet.start(options);
  const server = new URL(`http://127.0.0.1:${kubelet.port}`);
  const client = new KubeClient({
    cluster: { server, namespace: "default", tls: {}, credentials },
  });
  return {
    client,
    kubelet,
    async [Symbol.asyncDispose]() {
      client.close();
      await kubelet.close();
    },
  };
}

const TARGET = { namespace: "shop", pod: "web-0", port: 8080 };

/** A server on loopback. */
async function listen(
  onConnection: (socket: net.Socket) => void,
): Promise<{ readonly ip: string; readonly port: number } & Disposable> {
  const server = net.createServer({ allowHalfOpen: true }, onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return { ip: "127.0.0.1", port, [Symbol.dispose]: () => server.close() };
}

async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  return socket;
}

async function readAll(socket: net.Socket): Promise<Buffer> {
  return Buffer.concat(await socket.toArray());
}

test("a forwarded port carries bytes both ways, whole and in order, on several connections", async () => {
  using echo = await listen((socket) => socket.pipe(socket));
  const asked: unknown[] = [];
  await using scene = await world({
    resolve: (port) => {
      asked.push(port);
      return echo;
    },
  });
  await using forward = await startPortForward(scene.client, TARGET);
  // More than any buffer on the way holds.
  const bytes = Buffer.alloc(8 * 1024 * 1024);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31 + (at >> 13)) & 255;
  const exchange = async (): Promise<void> => {
    const socket = await connect(forward.port);
    socket.write(bytes);
    let got = 0;
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      assert.ok(chunk.equals(bytes.subarray(got, got + chunk.length)), `differs after ${got}`);
      got += chunk.length;
      if (got === bytes.length) break;
    }
    assert.equal(got, bytes.length);
  };
  await Promise.all([exchange(), exchange()]);
  assert.deepEqual(asked, [TARGET, TARGET]);
  assert.equal(forward.problem(), undefined);
});

test("what the pod sends before it closes arrives, then the connection ends", async () => {
  using server = await listen((socket) => socket.end("goodbye"));
  await using scene = await world({ resolve: () => server });
  await using forward = await startPortForward(scene.client, TARGET);
  assert.equal((await readAll(await connect(forward.port))).toString(), "goodbye");
});

test("what the kubelet cannot reach is told by problem()", async () => {
  await using scene = await world({ resolve: () => "no such container" });
  await using forward = await startPortForward(scene.client, TARGET);
  const socket = await connect(forward.port);
  assert.equal((await readAll(socket).catch(() => Buffer.alloc(0))).length, 0);
  assert.equal(
    forward.problem()?.message,
    "Cannot forward port 8080 of pods shop/web-0: no such container",
  );
});

for (const [status, code] of [
  [403, "kube_forbidden"],
  [404, "kube_not_found"],
  [500, "kube_internal_error"],
] as const) {
  test(`an API server that refuses with ${status} gives the error ${code}`, async () => {
    await using scene = await world({ resolve: () => "", refuse: () => status });
    await using forward = await startPortForward(scene.client, TARGET);
    const socket = await connect(forward.port);
    await readAll(socket).catch(() => {});
    assert.equal(forward.problem()?.code, code);
    assert.match(forward.problem()!.message, new RegExp(`no, with ${status}`));
  });
}

test("a token that was replaced since is read again, once", async () => {
  using server = await listen((socket) => socket.end("in"));
  let token = "Bearer old";
  const credentials = {
    current: async () => ({ authorization: token }),
    refused: () => {
      token = "Bearer new";
    },
  };
  const refuse: TestKubeletOptions["refuse"] = ({ headers }) =>
    headers.authorization === "Bearer new" ? undefined : 401;
  await using scene = await world({ resolve: () => server, refuse }, credentials);
  await using forward = await startPortForward(scene.client, TARGET);
  assert.equal((await readAll(await connect(forward.port))).toString(), "in");
});

test("a server that speaks nonsense ends the connection, and nothing else", async () => {
  const frames: readonly (Buffer | string)[] = [
    Buffer.alloc(0),
    Buffer.of(0),
    Buffer.of(1, 2),
    Buffer.of(77, 0, 0, 1),
    "text",
    // Larger than a message may be.
    Buffer.alloc(5 * 1024 * 1024),
  ];
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  server.on("connection", (channel) => {
    channel.on("error", () => {});
    for (const frame of frames) channel.send(frame);
  });
  const { port } = server.address() as net.AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}`);
  const credentials = fixedCredentials("Bearer good");
  const cluster = { server: url, namespace: "default", tls: {}, credentials };
  using client = new KubeClient({ cluster });
  await using forward = await startPortForward(client, TARGET);
  assert.equal((await readAll(await connect(forward.port)).catch(() => Buffer.of())).length, 0);
  assert.match(forward.problem()!.message, /Max payload size exceeded/);
  server.close();
});

test("close() ends what is forwarded, and an API server that is away is said to be", async () => {
  const accepted = Promise.withResolvers<net.Socket>();
  using server = await listen(accepted.resolve);
  const scene = await world({ resolve: () => server });
  const forward = await startPortForward(scene.client, TARGET);
  const socket = await connect(forward.port);
  socket.on("error", () => {});
  const inner = await accepted.promise;
  inner.on("error", () => {});
  const ended = Promise.all([once(socket, "close"), once(inner.resume(), "end")]);
  await forward.close();
  await forward.close();
  await ended;
  inner.destroy();
  await scene[Symbol.asyncDispose]();
  await using late = await startPortForward(scene.client, TARGET);
  await readAll(await connect(late.port)).catch(() => {});
  assert.equal(late.problem()?.code, "kube_unreachable");
});
