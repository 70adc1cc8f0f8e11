import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { Destination } from "@heddle/api/gen/destination_pb";
import { Identity } from "@heddle/api/gen/identity_pb";
import { systemClock } from "@heddle/base/clock";
import type { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { parseNetwork } from "@heddle/model/network";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import type { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { Http2Client } from "@heddle/net/http2/client";
import { Credentials } from "@heddle/net/tls-credentials";
import type { SocketAddress } from "@heddle/net/transport";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { startControl } from "./main.ts";
import { isOnThisMachine } from "./settings.ts";
import { ControlHost, controlSettings } from "./testing/control-host.ts";

const IDENTITY = "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local";
const DESTINATION = "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local";
const UNKNOWN = { path: "10.0.0.1:80" };

let store: ApiStore;
let host: ControlHost;

before(async () => {
  store = await ApiStore.start();
  const env = { HEDDLE_CONTROL_LISTEN_IP: "127.79.0.1", HEDDLE_LOOPBACK_MESH: "127.79.0.0/16" };
  host = await ControlHost.start(store, { env });
});

after(() => host?.[Symbol.asyncDispose]());

interface Way {
  readonly address: SocketAddress;
  readonly from?: string;
  readonly serverName?: string | undefined;
  readonly credentials?: Credentials;
}

async function connect({ address, from, serverName, credentials }: Way): Promise<Http2Client> {
  const tls =
    credentials === undefined ? undefined : { credentials, serverName, serverId: serverName };
  return new Http2Client(await dial({ address, localAddress: from, tls, timeoutMs: 5_000 }));
}

/** What `GetProfile` of an unknown address answers, or why it does not. */
async function ask(way: Way): Promise<string> {
  let connection: Http2Client;
  try {
    connection = await connect(way);
  } catch (error) {
    return (error as MeshError).code;
  }
  await using _ = connection;
  const client = new GrpcClient(connection, { authority: "destination" });
  try {
    for await (const profile of client.serverStream(Destination.method.getProfile, UNKNOWN)) {
      return profile.endpoint === undefined ? "nothing" : "answered";
    }
    return "ended";
  } catch (error) {
    return (error as GrpcError).code;
  }
}

test("TLS from anywhere, with or without a client certificate of ours", async () => {
  const address = host.address("destination");
  const anchors = host.trust.anchorsPem;
  const anonymous = new Credentials({ anchors });
  for (const from of ["127.79.0.2", "127.0.0.1"]) {
    const way = { address, from, serverName: DESTINATION, credentials: anonymous };
    assert.equal(await ask(way), "answered", from);
  }
  const ca = await TestCa.root();
  const foreign = await ca.leaf({ sans: [{ dns: "somebody" }] });
  const material = { anchors, certificate: foreign.chainPem, privateKey: foreign.keyPem };
  const way = {
    address,
    from: "127.79.0.2",
    serverName: DESTINATION,
    credentials: new Credentials(material),
  };
  // A certificate that nobody vouches for is worse than none.
  assert.notEqual(await ask(way), "answered");
});

test("plaintext is for loopback only, and the loopback mesh is none", async () => {
  const address = host.address("destination");
  assert.equal(await ask({ address, from: "127.0.0.1" }), "answered");
  assert.notEqual(await ask({ address, from: "127.79.0.2" }), "answered");
  assert.match(
    host.control.metrics.expose(),
    /heddle_control_connections_total\{port="destination",transport="refused"\} [1-9]/,
  );
});

const ownIp = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
const noIp = ownIp === undefined && "this machine has no address but loopback";

test("plaintext from our own address is from this machine, as a pod's proxy passes it on", {
  skip: noIp,
}, async () => {
  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "identity,destination",
    HEDDLE_CONTROL_LISTEN_IP: ownIp!,
  });
  using client = host.store.controlClient();
  const log = Log.silent();
  await using here = await startControl({ settings, client, log, clock: systemClock });
  await here.ready;
  const address = here.addresses.destination!;
  assert.equal(await ask({ address, from: ownIp! }), "answered");
});

test("a client on another address of the machine, or in the loopback mesh, is not this machine", () => {
  const mesh = parseNetwork("127.79.0.0/16");
  assert.equal(isOnThisMachine("10.1.2.3", "10.1.2.3", mesh), true);
  assert.equal(isOnThisMachine("10.1.2.3", "10.1.2.4", mesh), false);
  assert.equal(isOnThisMachine("127.79.0.1", "127.79.0.1", mesh), false);
  assert.equal(isOnThisMachine("127.0.0.1", "127.79.0.1", mesh), true);
  assert.equal(isOnThisMachine("junk", "junk", mesh), false);
});

test("the expansion port takes no plaintext at all", async () => {
  const address = host.address("expansion");
  assert.notEqual(await ask({ address, from: "127.0.0.1" }), "answered");
});

test("roles of one process are served on each of their ports, but not on the machines'", async () => {
  const credentials = new Credentials({ anchors: host.trust.anchorsPem });
  const from = "127.79.0.2";
  for (const [role, serverName] of [
    ["identity", IDENTITY],
    ["policy", DESTINATION],
  ] as const) {
    const way = { address: host.address(role), from, serverName, credentials };
    assert.equal(await ask(way), "answered", role);
  }
  const machines = { address: host.address("expansion"), from, serverName: undefined, credentials };
  assert.equal(await ask(machines), "grpc_unimplemented");
});

test("one process serves several names, by SNI", async () => {
  const anchors = host.trust.anchorsPem;
  const credentials = new Credentials({ anchors });
  for (const role of ["identity", "destination", "policy"] as const) {
    for (const serverName of [IDENTITY, DESTINATION]) {
      const way = { address: host.address(role), serverName, credentials };
      await using connection = await connect(way);
      assert.ok(connection, `${role} as ${serverName}`);
    }
  }
  const address = host.address("identity");
  await assert.rejects(
    connect({ address, serverName: "somebody.else", credentials }),
    (error: MeshError) => error.code === "identity_mismatch",
  );
});

test("tools that ask for h2 by ALPN get it, and a client without SNI gets the port's own name", async () => {
  const { ip, port } = host.address("destination");
  const socket = tls.connect({
    host: ip,
    port,
    ca: host.trust.anchorsPem,
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  try {
    await new Promise((resolve, reject) =>
      socket.once("secureConnect", resolve).once("error", reject),
    );
    assert.equal(socket.alpnProtocol, "h2");
    assert.equal(socket.getProtocol(), "TLSv1.3");
    const certificate = new X509Certificate(socket.getPeerX509Certificate()!.raw);
    assert.equal(certificate.subjectAltName, `DNS:${DESTINATION}`);
  } finally {
    socket.destroy();
  }
});

test("a client that says nothing, or nonsense, is not served", async () => {
  const { ip, port } = host.address("destination");
  const { connect: connectRaw } = await import("node:net");
  const socket = connectRaw({ host: ip, port, localAddress: "127.79.0.3" });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.resume();
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await closed;
});

test("a process without the identity role gets its certificate by Certify", async () => {
  const identity = host.address("identity");
  await host.kube.create(SERVICE_ACCOUNTS, {
    metadata: { name: "linkerd-destination", namespace: "linkerd" },
  });
  const token = await store.issueToken("linkerd", "linkerd-destination", {
    audiences: ["identity.l5d.io"],
  });
  const tokenFile = join(store.folder, "token");
  writeFileSync(tokenFile, token);
  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "destination",
    HEDDLE_CONTROL_LISTEN_IP: "127.79.0.4",
    HEDDLE_LOOPBACK_MESH: "127.79.0.0/16",
    HEDDLE_CONTROL_IDENTITY_ADDR: `${identity.ip}:${identity.port}`,
    HEDDLE_CONTROL_IDENTITY_TOKEN_FILE: tokenFile,
    HOSTNAME: "other",
  });
  using client = host.store.controlClient();
  const clock = systemClock;
  await using control = await startControl({ settings, client, log: Log.silent(), clock });
  await control.ready;
  const credentials = new Credentials({ anchors: host.trust.anchorsPem });
  const address = control.addresses.destination!;
  assert.equal(await ask({ address, serverName: DESTINATION, credentials }), "answered");
});

test("health and reflection are served, for tools", async () => {
  const { Health } = await import("@heddle/api/gen/grpc/health/v1/health_pb");
  const { ServerReflection } = await import("@heddle/api/gen/grpc/reflection/v1/reflection_pb");
  await using connection = await connect({ address: host.address("identity"), from: "127.0.0.1" });
  const client = new GrpcClient(connection, { authority: "identity" });
  assert.equal((await client.unary(Health.method.check, {})).status, 1);
  const messageRequest = { case: "listServices", value: "" } as const;
  async function* once(): AsyncIterable<{ messageRequest: typeof messageRequest }> {
    yield { messageRequest };
  }
  for await (const answer of client.bidi(ServerReflection.method.serverReflectionInfo, once())) {
    const { messageResponse } = answer;
    assert.equal(messageResponse.case, "listServicesResponse");
    const names = (messageResponse.value as { service: { name: string }[] }).service;
    assert.ok(names.some(({ name }) => name === Identity.typeName));
    return;
  }
});

test("calls are counted by method and code", async () => {
  await using connection = await connect({
    address: host.address("destination"),
    from: "127.0.0.1",
  });
  const client = new GrpcClient(connection, { authority: "destination" });
  const count = (what: string, code: string): number => {
    const service = 'grpc_service="io.linkerd.proxy.destination.Destination"';
    const labels = `grpc_type="server_stream",${service},grpc_method="Get"${code}`;
    const line = host.control.metrics
      .expose()
      .split("\n")
      .find((one) => one.startsWith(`grpc_server_${what}_total{${labels}}`));
    return Number(line?.split(" ").at(-1) ?? 0);
  };
  const before = [count("started", ""), count("handled", ',grpc_code="InvalidArgument"')];
  const call = client.serverStream(Destination.method.get, { path: "nonsense" });
  await assert.rejects(Promise.resolve(call.next()));
  const after = [count("started", ""), count("handled", ',grpc_code="InvalidArgument"')];
  assert.deepEqual(
    after,
    before.map((one) => one + 1),
  );
});

test("admin tells of readiness and metrics", async () => {
  const { ip, port } = host.control.addresses.destinationAdmin!;
  const get = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${ip}:${port}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await get("/ready"), "200 ok\n");
  assert.equal(await get("/live"), "200 pong\n");
  assert.equal(await get("/ping"), "200 pong\n");
  assert.match(await get("/metrics"), /^200 # HELP[\s\S]*pod_cache_size\{cluster="local"\} \d/);
  assert.match(await get("/nothing"), /^404/);
});

test("closing ends streams in good order", async () => {
  const own = await ControlHost.start(await ApiStore.start());
  const client = await own.client("destination");
  const stream = client.serverStream(Destination.method.getProfile, UNKNOWN);
  assert.equal((await stream.next()).done, false);
  const ended = assert.rejects(
    Promise.resolve(stream.next()),
    (error: GrpcError) => error.status === GrpcStatus.unavailable,
  );
  await Promise.all([ended, own.control[Symbol.asyncDispose]()]);
  await own[Symbol.asyncDispose]();
});
