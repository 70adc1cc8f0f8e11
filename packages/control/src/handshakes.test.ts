/** Many handshakes at once, some of which lead nowhere. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import { Destination } from "@heddle/api/gen/destination_pb";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { Credentials } from "@heddle/net/tls-credentials";
import type { SocketAddress } from "@heddle/net/transport";
import { ApiStore } from "@heddle/testkit/api-store";
import { ControlHost } from "./testing/control-host.ts";

const DESTINATION = "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local";

/** The first flight of a client that asks for `DESTINATION`. */
async function clientHello(): Promise<Buffer> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = tls.connect({ host: "127.0.0.1", port, servername: DESTINATION });
  client.on("error", () => {});
  const [socket] = (await once(server, "connection")) as [net.Socket];
  const [hello] = (await once(socket, "data")) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** A client that begins a handshake and says no more; resolves when the hello is with the kernel. */
async function halfClient(address: SocketAddress, hello: Buffer): Promise<net.Socket> {
  const socket = net.connect(address.port, address.ip);
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  await new Promise<void>((resolve) => socket.write(hello, () => resolve()));
  return socket;
}

async function askAll(address: SocketAddress, anchors: string, count: number): Promise<void> {
  const credentials = new Credentials({ anchors });
  const tlsOptions = { credentials, serverName: DESTINATION, serverId: DESTINATION };
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await dial({ address, timeoutMs: 60_000, tls: tlsOptions });
      await using connection = new Http2Client(socket);
      const client = new GrpcClient(connection, { authority: "destination" });
      const stream = client.serverStream(Destination.method.getProfile, { path: "10.0.0.1:80" });
      for await (const profile of stream) {
        assert.equal(profile.fullyQualifiedName, "");
        break;
      }
    }),
  );
}

test("clients that fall silent in their handshakes, or leave before it, hold nobody else up", async () => {
  await using host = await ControlHost.start(await ApiStore.start());
  const address = host.address("destination");
  const { anchorsPem } = host.trust;
  const hello = await clientHello();
  const silent = await Promise.all(Array.from({ length: 100 }, () => halfClient(address, hello)));
  const gone = await Promise.all(Array.from({ length: 100 }, () => halfClient(address, hello)));
  for (const socket of gone) socket.destroy();
  await askAll(address, anchorsPem, 100);
  for (const socket of silent) assert.equal(socket.destroyed, false);
  for (const socket of silent) socket.destroy();
  // Each turn was given back once.
  await askAll(address, anchorsPem, 100);
});
