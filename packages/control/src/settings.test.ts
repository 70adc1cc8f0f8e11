import assert from "node:assert/strict";
import { test } from "node:test";
import { Env } from "@heddle/base/env";
import type { MeshError } from "@heddle/base/errors";
import { parseHttp2Params } from "./destination/http2-params.ts";
import { isPlainLoopback, loadControl } from "./settings.ts";

function load(values: Readonly<Record<string, string>>): ReturnType<typeof loadControl> {
  const env = new Env((name) => values[name] ?? values[name.replace(/^HEDDLE_CONTROL_/, "")]);
  const settings = loadControl(env);
  env.check();
  return settings;
}

test("loadControl() without any variable has Linkerd's ports, names and defaults", () => {
  const settings = load({ HOSTNAME: "h" });
  assert.deepEqual([...settings.roles], ["identity", "destination", "policy", "expansion"]);
  assert.deepEqual(settings.ports, {
    identity: 8080,
    destination: 8086,
    policy: 8090,
    expansion: 8444,
    webhooks: 8443,
    policyWebhook: 9443,
    admin: 9990,
    destinationAdmin: 9996,
    injectorAdmin: 9995,
    profilesAdmin: 9997,
  });
  assert.equal(settings.controlNamespace, "linkerd");
  assert.equal(settings.trustDomain, "cluster.local");
  assert.equal(settings.identity.lifetimeMs, 86_400_000);
  assert.equal(settings.identity.skewMs, 20_000);
  assert.equal(settings.destination.isTransportHeaderOn, true);
  assert.equal(settings.destination.isIpv6On, false);
  assert.equal(settings.destination.defaultOpaquePorts.has(5432), true);
  assert.equal(settings.streamQueueCapacity, 100);
  assert.equal(settings.defaultPolicy, "all-unauthenticated");
  assert.equal(settings.holder, "h");
  assert.equal(
    settings.identityAddress,
    "linkerd-identity-headless.linkerd.svc.cluster.local.:8080",
  );
});

test("the trust domain follows the cluster domain, and the loopback mesh is a cluster network", () => {
  const settings = load({
    CLUSTER_DOMAIN: "example.org",
    HEDDLE_LOOPBACK_MESH: "127.77.0.0/16",
    CLUSTER_NETWORKS: "10.0.0.0/8",
  });
  assert.equal(settings.trustDomain, "example.org");
  assert.deepEqual(settings.clusterNetworks.map(String), ["10.0.0.0/8", "127.77.0.0/16"]);
  assert.equal(isPlainLoopback("127.0.0.1", settings.loopbackMesh), true);
  assert.equal(isPlainLoopback("::1", settings.loopbackMesh), true);
  assert.equal(isPlainLoopback("127.77.1.1", settings.loopbackMesh), false);
  assert.equal(isPlainLoopback("10.0.0.1", settings.loopbackMesh), false);
});

test("loadControl() reports all problems at once, each with its variable", () => {
  const wrong = {
    ROLES: "identity,king",
    LISTEN_IP: "localhost",
    IDENTITY_PORT: "65536",
    NAMESPACE: "Not.A.Label",
    CLUSTER_DOMAIN: "-",
    CLUSTER_NETWORKS: "10.0.0.0/33",
    IDENTITY_ISSUANCE_LIFETIME: "0s",
    IDENTITY_CLOCK_SKEW_ALLOWANCE: "-1s",
    IDENTITY_SCHEME: "other",
    IDENTITY_ADDR: "nowhere",
    OUTBOUND_TRANSPORT_MODE: "opaque",
    ENABLE_IPV6: "maybe",
    DEFAULT_OPAQUE_PORTS: "80,http",
    STREAM_QUEUE_CAPACITY: "0",
    MESHED_HTTP2_CLIENT_PARAMS: "[]",
    DEFAULT_POLICY: "open",
    HEDDLE_LOOPBACK_MESH: "10.0.0.0/8",
  };
  assert.throws(
    () => load(wrong),
    (error: MeshError) => {
      assert.equal(error.code, "bad_config");
      for (const name of Object.keys(wrong)) assert.ok(error.message.includes(name), name);
      return true;
    },
  );
});

test("expansion is refused without identity", () => {
  assert.throws(() => load({ ROLES: "expansion" }), /needs identity/);
});

test("parseHttp2Params() takes Go's JSON and protobuf's", () => {
  const expected = {
    flowControl: {
      initialConnectionWindowSize: 0,
      initialStreamWindowSize: 0,
      adaptiveFlowControl: true,
    },
    keepAlive: { intervalMs: 10_000, timeoutMs: 3_500, whileIdle: true },
    internals: { maxConcurrentResetStreams: 7, maxFrameSize: 0, maxSendBufSize: 0 },
  };
  const go = {
    flow_control: { adaptive_flow_control: true },
    keep_alive: {
      interval: { seconds: 10 },
      timeout: { seconds: 3, nanos: 5e8 },
      while_idle: true,
    },
    internals: { max_concurrent_reset_streams: 7 },
  };
  const protobuf = {
    flowControl: { adaptiveFlowControl: true },
    keepAlive: { interval: "10s", timeout: "3.5s", whileIdle: true },
    internals: { maxConcurrentResetStreams: 7 },
  };
  assert.deepEqual(parseHttp2Params(JSON.stringify(go)), expected);
  assert.deepEqual(parseHttp2Params(JSON.stringify(protobuf)), expected);
  assert.equal(parseHttp2Params(""), undefined);
  for (const text of ["{", '{"keep_alive": 1}', '{"keep_alive": {"interval": "soon"}}']) {
    assert.throws(() => parseHttp2Params(text), SyntaxError);
  }
});
