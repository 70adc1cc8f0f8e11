import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { NAMESPACES, PODS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { runPlugin } from "./plugin.ts";

const PREVIOUS = { cniVersion: "1.0.0", ips: [{ address: "10.99.0.2/24" }], dns: {} };

interface Answer {
  readonly code: number;
  readonly answer: string;
  readonly log: string;
}

/** What a runtime sends, changed as the test says, and what it hears. */
async function call(
  env: Readonly<Record<string, string>>,
  config: Readonly<Record<string, unknown>> | string,
): Promise<Answer> {
  const lines: string[] = [];
  let answer = "";
  const variables: Readonly<Record<string, string>> = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "abc123",
    CNI_NETNS: "/nowhere",
    CNI_IFNAME: "eth0",
    CNI_PATH: "/opt/cni/bin",
    ...env,
  };
  async function* stdin(): AsyncGenerator<Uint8Array> {
    const text = typeof config === "string" ? config : JSON.stringify(config);
    if (text !== "") yield Buffer.from(text);
  }
  const code = await runPlugin({
    env: (name) => variables[name],
    stdin: stdin(),
    answer: (text) => {
      answer += text;
    },
    log: Log.root({ filter: "warn", uptimeMs: () => 0, write: (line) => lines.push(line) }),
    signal: new AbortController().signal,
  });
  return { code, answer, log: lines.join("\n") };
}

function network(kubeconfig: string, linkerd: object = {}): Record<string, unknown> {
  return {
    cniVersion: "1.0.0",
    name: "net",
    type: "linkerd-cni",
    log_level: "debug",
    prevResult: PREVIOUS,
    kubernetes: { kubeconfig },
    linkerd: {
      "incoming-proxy-port": 4143,
      "outgoing-proxy-port": 4140,
      "proxy-uid": 2102,
      "inbound-ports-to-ignore": ["4191", "4190"],
      "iptables-mode": "nft",
      ipv6: true,
      ...linkerd,
    },
  };
}

function podArgs(name: string): string {
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=meshed;K8S_POD_NAME=${name};K8S_POD_UID=u`;
}

async function storeWithPod(name: string, containers: readonly string[]): Promise<ApiStore> {
  const store = await ApiStore.start();
  const annotations = { "config.linkerd.io/skip-inbound-ports": "9000" };
  await store.client.create(NAMESPACES, { metadata: { name: "meshed", annotations } });
  await store.client.create(PODS, {
    metadata: { name, namespace: "meshed" },
    spec: { containers: containers.map((one) => ({ name: one, image: "image:1" })) },
  });
  return store;
}

test("ADD puts a meshed pod's rules into its namespace, and passes on what was there", {
  skip: noNamespaces("iptables-nft", "ip6tables-nft"),
}, async () => {
  await using pod = new PodNetwork();
  await using store = await storeWithPod("web", ["app", "linkerd-proxy"]);
  const env = { CNI_NETNS: pod.path, CNI_ARGS: podArgs("web") };
  const config = network(join(store.folder, "admin.kubeconfig"));
  for (const round of ["first", "second"]) {
    const { code, answer, log } = await call(env, config);
    assert.equal(code, 0, `${round}: ${log}`);
    assert.deepEqual(JSON.parse(answer), PREVIOUS);
  }
  for (const program of ["iptables-nft-save", "ip6tables-nft-save"]) {
    const rules = await pod.run(pod.pod, program, "-t", "nat");
    assert.match(rules, /--dports 4191,4190,9000 /);
    assert.match(rules, /REDIRECT --to-ports 4140/);
  }
});

/** Rules of somebody else, which iptables-nft neither understands nor touches. */
const FOREIGN = `table ip6 nat {
  chain PREROUTING {
    type nat hook prerouting priority -100; policy accept;
    meta mark & 0xff == 0x01 tcp dport { 1, 2, 3 } meta cpu 0 counter accept
  }
}`;

test("ADD gives a pod its rules for IPv4 where those for IPv6 cannot be had", {
  skip: noNamespaces("iptables-nft", "ip6tables-nft", "nft"),
}, async () => {
  await using pod = new PodNetwork();
  await using store = await storeWithPod("web", ["app", "linkerd-proxy"]);
  await pod.run(pod.pod, "nft", FOREIGN);
  const env = { CNI_NETNS: pod.path, CNI_ARGS: podArgs("web") };
  const { code, log } = await call(env, network(join(store.folder, "admin.kubeconfig")));
  assert.equal(code, 0, log);
  assert.match(log, /could not configure firewall for IPv6 .*try --iptables-mode nftables/);
  assert.match(
    await pod.run(pod.pod, "iptables-nft-save", "-t", "nat"),
    /REDIRECT --to-ports 4140/,
  );
});

test("ADD leaves a pod without a proxy alone", { skip: noNamespaces("iptables-nft") }, async () => {
  await using pod = new PodNetwork();
  await using store = await storeWithPod("plain", ["app"]);
  const env = { CNI_NETNS: pod.path, CNI_ARGS: podArgs("plain") };
  const { code, answer, log } = await call(env, network(join(store.folder, "admin.kubeconfig")));
  assert.deepEqual([code, JSON.parse(answer)], [0, PREVIOUS]);
  assert.match(log, /linkerd-proxy is not present, skipping/);
  assert.doesNotMatch(await pod.run(pod.pod, "iptables-nft-save", "-t", "nat"), /PROXY_INIT/);
});

test("ADD says that a pod cannot be found, and that it may be tried again", async () => {
  await using store = await storeWithPod("web", ["app"]);
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  const gone = await call({ CNI_ARGS: podArgs("gone") }, network(kubeconfig));
  assert.equal(gone.code, 1);
  const answer = JSON.parse(gone.answer);
  assert.deepEqual([answer.cniVersion, answer.code], ["1.0.0", 11]);
  assert.match(answer.msg, /^linkerd-cni: Cannot get pods meshed\/gone: 404 NotFound/);
  await store.stop();
  const away = await call({ CNI_ARGS: podArgs("web") }, network(kubeconfig));
  assert.equal(JSON.parse(away.answer).code, 11);
  await store.restart();
});

test("ADD fails where the namespace is gone", {
  skip: noNamespaces("iptables-nft"),
}, async () => {
  await using store = await storeWithPod("web", ["linkerd-proxy"]);
  const config = network(join(store.folder, "admin.kubeconfig"));
  const { code, answer } = await call({ CNI_ARGS: podArgs("web") }, config);
  assert.equal(code, 1);
  assert.equal(JSON.parse(answer).code, 101);
  assert.match(JSON.parse(answer).msg, /network namespace is gone/);
});

test("ADD without a pod's name does nothing and answers", async () => {
  const { prevResult: _, ...alone } = network("/nowhere");
  const { code, answer } = await call({}, alone);
  assert.deepEqual([code, JSON.parse(answer)], [0, { cniVersion: "1.0.0", dns: {} }]);
});

for (const [what, env, config, expected] of [
  ["no JSON", {}, "{", 6],
  ["a version that we do not speak", {}, { cniVersion: "9.0.0", name: "x" }, 1],
  ["no name", {}, { cniVersion: "1.0.0" }, 7],
  ["options of the wrong form", {}, { name: "x", linkerd: { "proxy-uid": "root" } }, 7],
  ["no container", { CNI_CONTAINERID: "" }, { name: "x" }, 4],
  ["no kubeconfig", { CNI_ARGS: podArgs("web") }, network("/nowhere"), 102],
  ["STATUS without a kubeconfig", { CNI_COMMAND: "STATUS" }, network("/nowhere"), 50],
] as const) {
  test(`the plugin answers ${what} with error ${expected}`, async () => {
    const { code, answer } = await call(env, config);
    assert.equal(code, 1);
    assert.equal(JSON.parse(answer).code, expected);
  });
}

for (const command of ["CHECK", "DEL", "GC"]) {
  test(`${command} has nothing to do and nothing to say`, async () => {
    const { code, answer } = await call({ CNI_COMMAND: command }, network("/nowhere"));
    assert.deepEqual([code, answer], [0, ""]);
  });
}

test("VERSION is answered with and without a configuration", async () => {
  for (const [config, version] of [
    ["", "1.1.0"],
    ['{"cniVersion":"0.4.0"}', "0.4.0"],
  ] as const) {
    const { code, answer } = await call({ CNI_COMMAND: "VERSION" }, config);
    assert.deepEqual([code, JSON.parse(answer).cniVersion], [0, version]);
  }
});

test("the plugin answers whatever is sent to it", async () => {
  const values = [null, true, -1, 1e99, "", "x", "é\u0000", [], [[]], {}, { a: { b: [] } }];
  const paths = ["cniVersion", "name", "log_level", "prevResult", "kubernetes", "linkerd"];
  const options = ["incoming-proxy-port", "inbound-ports-to-ignore", "iptables-mode", "ipv6"];
  const configs = values.flatMap((value) => [
    value,
    ...paths.map((path) => ({ ...network("/nowhere"), [path]: value })),
    ...options.map((path) => network("/nowhere", { [path]: value })),
  ]);
  for (const config of configs) {
    for (const CNI_COMMAND of ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"]) {
      const text = JSON.stringify(config);
      const { code, answer } = await call({ CNI_COMMAND, CNI_ARGS: podArgs("web") }, text);
      const isError = code === 1;
      assert.ok(isError || code === 0, text);
      if (isError) assert.ok(Number.isInteger(JSON.parse(answer).code), `${text}: ${answer}`);
    }
  }
});
