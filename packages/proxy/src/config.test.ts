import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Env } from "@heddle/base/env";
import { MeshError } from "@heddle/base/errors";
import { loadProxy, type ProxyConfig } from "./config.ts";

let directory = "";

before(() => {
  directory = mkdtempSync(join(tmpdir(), "heddle-config-"));
  for (const file of ["csr.der", "key.p8", "token"]) writeFileSync(join(directory, file), "x");
});

after(() => rmSync(directory, { recursive: true }));

function minimal(): Record<string, string> {
  const prefix = "LINKERD2_PROXY_";
  return {
    [`${prefix}DESTINATION_SVC_ADDR`]: "127.0.0.1:8086",
    [`${prefix}POLICY_SVC_ADDR`]: "localhost.:8090",
    [`${prefix}POLICY_WORKLOAD`]: "default:pod",
    [`${prefix}IDENTITY_SVC_ADDR`]: "127.0.0.1:8080",
    [`${prefix}IDENTITY_DIR`]: directory,
    [`${prefix}IDENTITY_TOKEN_FILE`]: join(directory, "token"),
    [`${prefix}IDENTITY_TRUST_ANCHORS`]: "PEM",
    [`${prefix}IDENTITY_LOCAL_NAME`]: "web.default.serviceaccount.identity.linkerd.cluster.local",
  };
}

function load(variables: Record<string, string>): ProxyConfig {
  const env = new Env((name) => variables[name]);
  const config = loadProxy(env);
  env.check();
  return config;
}

function problems(variables: Record<string, string>): string {
  try {
    load(variables);
  } catch (error) {
    assert.ok(error instanceof MeshError);
    assert.equal(error.code, "bad_config");
    return error.message;
  }
  return "";
}

test("[X09] eight variables suffice, and each missing one is named", () => {
  const config = load(minimal());
  assert.equal(config.outbound.connectTimeoutMs, 1_000);
  assert.equal(config.inbound.connectTimeoutMs, 300);
  assert.deepEqual(config.adminListen, { host: "127.0.0.1", port: 4191 });
  for (const name of Object.keys(minimal())) {
    const variables = minimal();
    delete variables[name];
    const expected = name.endsWith("LOCAL_NAME") ? "LINKERD2_PROXY_IDENTITY_SERVER_ID" : name;
    assert.match(problems(variables), new RegExp(expected), name);
  }
});

test("every problem is reported in one start", () => {
  const text = problems({
    ...minimal(),
    LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT: "1.5s",
    LINKERD2_PROXY_INBOUND_PORTS: "90-80",
    LINKERD2_PROXY_INGRESS_MODE: "yes",
    LINKERD2_PROXY_INBOUND_DEFAULT_POLICY: "open",
  });
  for (const part of ["CONNECT_TIMEOUT", "INBOUND_PORTS", "INGRESS_MODE", "DEFAULT_POLICY"]) {
    assert.match(text, new RegExp(part));
  }
});

test("a control plane that is not local needs its name, and in a loopback mesh none is", () => {
  const remote = { ...minimal(), LINKERD2_PROXY_POLICY_SVC_ADDR: "localhost:8090" };
  assert.match(problems(remote), /POLICY_SVC_ADDR and LINKERD2_PROXY_POLICY_SVC_NAME/);
  const mesh: Record<string, string> = { ...minimal(), HEDDLE_LOOPBACK_MESH: "127.77.0.0/16" };
  mesh["LINKERD2_PROXY_POLICY_SVC_ADDR"] = "127.77.0.2:8090";
  assert.match(problems(mesh), /POLICY_SVC_NAME/);
  mesh["LINKERD2_PROXY_POLICY_SVC_NAME"] = "Policy.Linkerd.svc.";
  mesh["LINKERD2_PROXY_INBOUND_LISTEN_ADDR"] = "127.77.3.1:4143";
  const config = load(mesh);
  assert.equal(config.discovery.policy.tlsName, "policy.linkerd.svc");
  assert.equal(config.sourceIp, "127.77.3.1");
  assert.equal(config.mesh.isLoopback("127.77.1.1"), false);
  assert.equal(config.mesh.isLoopback("127.0.0.1"), true);
  assert.match(problems({ ...minimal(), HEDDLE_LOOPBACK_MESH: "10.0.0.0/8" }), /127\.0\.0\.0\/8/);
});

test("[V05] control stream limits rise from initial over idle to lifetime", () => {
  const limits = (initial: string, idle: string, lifetime: string): Record<string, string> => ({
    ...minimal(),
    LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT: initial,
    LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT: idle,
    LINKERD2_PROXY_CONTROL_STREAM_LIFETIME: lifetime,
  });
  assert.deepEqual(load(limits("3s", "5m", "1h")).discovery.limits, {
    initialMs: 3_000,
    idleMs: 300_000,
    lifetimeMs: 3_600_000,
  });
  assert.equal(load(limits("", "", "")).discovery.limits.idleMs, undefined);
  assert.notEqual(problems(limits("6m", "5m", "1h")), "");
  assert.notEqual(problems(limits("", "2h", "1h")), "");
  assert.notEqual(problems(limits("2h", "", "1h")), "");
});

test("[V06] HTTP/2 server settings: adaptive wins over fixed windows, which come in pairs", () => {
  const base = "LINKERD2_PROXY_INBOUND_SERVER_HTTP2";
  const fixed = {
    ...minimal(),
    [`${base}_INITIAL_STREAM_WINDOW_SIZE`]: "100000",
    [`${base}_INITIAL_CONNECTION_WINDOW_SIZE`]: "200000",
    [`${base}_KEEP_ALIVE_INTERVAL`]: "10s",
    [`${base}_KEEP_ALIVE_TIMEOUT`]: "3s",
    [`${base}_MAX_CONCURRENT_STREAMS`]: "7",
  };
  const settings = load(fixed).inbound.http2Server;
  assert.equal(settings.streamWindowBytes, 100_000);
  assert.equal(settings.connectionWindowBytes, 200_000);
  assert.equal(settings.keepAliveIntervalMs, 10_000);
  assert.equal(settings.maxConcurrentStreams, 7);
  const adaptive = load({ ...fixed, [`${base}_ADAPTIVE_FLOW_CONTROL`]: "true" });
  assert.equal(adaptive.inbound.http2Server.streamWindowBytes, undefined);
  const notAdaptive = load({ ...fixed, [`${base}_ADAPTIVE_FLOW_CONTROL`]: "false" });
  assert.equal(notAdaptive.inbound.http2Server.streamWindowBytes, 100_000);
});

test("backoffs are set in pairs and in order", () => {
  const base = "LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF";
  const set = { ...minimal(), [`${base}_MIN`]: "50ms", [`${base}_MAX`]: "1s" };
  assert.deepEqual(load(set).outbound.connectBackoff, { minMs: 50, maxMs: 1_000, jitter: 0 });
  assert.notEqual(problems({ ...minimal(), [`${base}_MIN`]: "50ms" }), "");
  assert.notEqual(problems({ ...set, [`${base}_MIN`]: "2s" }), "");
  assert.notEqual(problems({ ...set, [`${base}_JITTER`]: "101" }), "");
});

test("a Workload API needs a SPIFFE id, and then no token and no service", () => {
  const variables = minimal();
  for (const name of ["SVC_ADDR", "DIR", "TOKEN_FILE", "LOCAL_NAME"]) {
    delete variables[`LINKERD2_PROXY_IDENTITY_${name}`];
  }
  variables["LINKERD2_PROXY_IDENTITY_SERVER_NAME"] = "web.mesh";
  variables["LINKERD2_PROXY_IDENTITY_SPIRE_WORKLOAD_API_ADDRESS"] = "unix:///run/agent.sock";
  variables["LINKERD2_PROXY_IDENTITY_SERVER_ID"] = "web.mesh";
  assert.match(problems(variables), /SPIFFE/);
  variables["LINKERD2_PROXY_IDENTITY_SERVER_ID"] = "spiffe://root/ns/a/external/b";
  const { source } = load(variables).identity;
  assert.equal(source.kind === "workload_api" && source.socketPath, "/run/agent.sock");
});

test("declared listeners name an address and a service", () => {
  const declared = (text: string): Record<string, string> => ({
    ...minimal(),
    HEDDLE_PROXY_OUTBOUND_LISTENERS: text,
  });
  const config = load(declared("127.0.0.1:1080=Web.shop.svc.cluster.local.:80,[::1]:2=b.c:3"));
  assert.deepEqual(config.outbound.declared, [
    {
      listen: { host: "127.0.0.1", port: 1080 },
      service: { host: "web.shop.svc.cluster.local", port: 80 },
    },
    { listen: { host: "::1", port: 2 }, service: { host: "b.c", port: 3 } },
  ]);
  assert.notEqual(problems(declared("127.0.0.1:80")), "");
  assert.notEqual(problems(declared("127.0.0.1:80=10.0.0.1:80")), "");
});
