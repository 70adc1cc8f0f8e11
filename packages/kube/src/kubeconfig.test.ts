import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { MeshError } from "@heddle/base/errors";
import { contextNames, findCluster, inClusterConfig, parseKubeconfig } from "./kubeconfig.ts";

const CONFIG = `
apiVersion: v1
kind: Config
current-context: one
contexts:
- name: one
  context: { cluster: c, user: u, namespace: shop }
- name: two
  context: { cluster: plain, user: basic }
clusters:
- name: c
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority-data: ${Buffer.from("CA").toString("base64")}
    tls-server-name: kubernetes
- name: plain
  cluster: { server: "http://127.0.0.1:8001/prefix/" }
users:
- name: u
  user:
    client-certificate-data: ${Buffer.from("CERT").toString("base64")}
    client-key-data: ${Buffer.from("KEY").toString("base64")}
- name: basic
  user: { username: me, password: secret }
`;

test("parseKubeconfig() follows the current context", async () => {
  const config = parseKubeconfig(CONFIG);
  assert.equal(config.server.href, "https://10.0.0.1:6443/");
  assert.equal(config.namespace, "shop");
  assert.deepEqual(config.tls, { ca: "CA", cert: "CERT", key: "KEY", servername: "kubernetes" });
  assert.deepEqual(await config.credentials.current(), {});
});

test("parseKubeconfig() takes another context by name", async () => {
  const config = parseKubeconfig(CONFIG, "/", "two");
  assert.equal(config.server.pathname, "/prefix/");
  const authorization = `Basic ${Buffer.from("me:secret").toString("base64")}`;
  assert.deepEqual(await config.credentials.current(), { authorization });
});

for (const [what, text, state] of [
  ["no YAML", "{", /is not YAML/],
  ["a list", "[]", /holds no kubeconfig/],
  ["no context", "clusters: []", /no current-context is set/],
  ["an unknown context", "current-context: x", /there is no context "x"/],
  ["a server that is no URL", CONFIG.replace("https://10.0.0.1:6443", "nowhere"), /not an http/],
] as const) {
  test(`parseKubeconfig() refuses ${what}, and says so`, () => {
    assert.throws(
      () => parseKubeconfig(text),
      (error: MeshError) => error.code === "kube_config" && state.test(error.message),
    );
  });
}

test("findCluster() merges the files of KUBECONFIG and reads paths beside them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-kubeconfig-"));
  try {
    const users = "users: [{ name: u, user: { tokenFile: token } }]\ncurrent-context: one\n";
    const rest = CONFIG.replace(/users:[\s\S]*/, "").replace("current-context: one", "");
    writeFileSync(join(folder, "token"), "abc\n");
    writeFileSync(join(folder, "a"), users);
    writeFileSync(join(folder, "b"), rest);
    const paths = `${join(folder, "a")}:${join(folder, "missing")}:${join(folder, "b")}`;
    const config = findCluster((name) => (name === "KUBECONFIG" ? paths : undefined));
    assert.equal(config.server.hostname, "10.0.0.1");
    const known = contextNames((name) => (name === "KUBECONFIG" ? paths : undefined));
    assert.deepEqual(
      known,
      contextNames(() => undefined, join(folder, "b")),
    );
    assert.ok(known.includes("one"), known.join());
    assert.deepEqual(
      contextNames(() => "/nonexistent"),
      [],
    );
    assert.deepEqual(await config.credentials.current(), { authorization: "Bearer abc" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("inClusterConfig() takes the pod's service account, and its token as it is renewed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-incluster-"));
  try {
    writeFileSync(join(folder, "ca.crt"), "CA");
    writeFileSync(join(folder, "namespace"), "linkerd");
    writeFileSync(join(folder, "token"), "first");
    const env: Record<string, string> = { KUBERNETES_SERVICE_HOST: "fd00::1" };
    const config = inClusterConfig((name) => env[name], folder);
    assert.equal(config.server.href, "https://[fd00::1]/");
    assert.equal(config.namespace, "linkerd");
    assert.deepEqual(await config.credentials.current(), { authorization: "Bearer first" });
    writeFileSync(join(folder, "token"), "second");
    assert.deepEqual(await config.credentials.current(), { authorization: "Bearer first" });
    config.credentials.refused();
    assert.deepEqual(await config.credentials.current(), { authorization: "Bearer second" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("an exec plugin gives the token", async () => {
  const exec = `
current-context: one
contexts: [{ name: one, context: { cluster: c, user: u } }]
clusters: [{ name: c, cluster: { server: "https://10.0.0.1" } }]
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never
      command: echo
      args: ['{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-plugin"}}']
`;
  const config = parseKubeconfig(exec);
  assert.deepEqual(await config.credentials.current(), { authorization: "Bearer from-plugin" });
});
