import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import {
  CONFIG_MAPS,
  NAMESPACES,
  NEW_EVENTS,
  PODS,
  SERVICE_ACCOUNTS,
} from "@heddle/kube/types/core";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { writeCniPlugin } from "../scripts/cni-plugin.ts";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { CniRuntime, type Sandbox } from "./cni/runtime.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip =
  (absent.length > 0 && `not built: ${absent.join(", ")}`) ||
  noNamespaces("iptables-nft", "ip6tables-nft");

const HEDDLE = join(ROOT, "heddle");
/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;
const NODE = "node-1";
const PROXY_UID = 2102;
const VALIDATOR = "linkerd-network-validator";

/** A process of ours that runs until it is told to stop, or the test is over. */
class Running implements AsyncDisposable {
  readonly #child: ChildProcess;
  #log = "";

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    const stdio = ["ignore", "ignore", "pipe"] as const;
    this.#child = spawn(HEDDLE, args, { env: { ...process.env, ...env }, stdio: [...stdio] });
    this.#child.stderr!.on("data", (chunk) => {
      this.#log += String(chunk);
    });
  }

  get log(): string {
    return this.#log;
  }

  /** @returns the exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null) {
      this.#child.kill("SIGTERM");
      await once(this.#child, "exit");
    }
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function run(program: string, args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", input });
  assert.equal(status, 0, `${program} ${args.join(" ")}\n${stderr}`);
  return stdout;
}

/** Runs the network validator in a pod's namespace. */
function validate(network: PodNetwork, timeout: string): { code: number | null; err: string } {
  const args = ["--listen-addr", "0.0.0.0:4140", "--connect-addr", "1.1.1.1:20001"];
  const { status, stderr } = spawnSync(
    "ip",
    ["netns", "exec", network.pod, HEDDLE, "network-validator", ...args, "--timeout", timeout],
    { encoding: "utf8" },
  );
  return { code: status, err: stderr };
}

test("[ND32] [ND33] a node with the CNI plugin gives its pods rules, and replaces pods that came before", {
  skip,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-cni-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const folders = {
    conf: join(folder, "net.d"),
    bin: join(folder, "bin"),
    account: join(folder, "account"),
  };
  for (const path of Object.values(folders)) mkdirSync(path);
  await writeCniPlugin(join(folder, "source"));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const cluster = loadKubeconfig({ paths: [kubeconfigPath] });
  const admin = parts.use(new KubeClient({ cluster }));

  // The chart, whose roles have to be enough for everything that follows.
  const manifests = run(HEDDLE, [
    "install-cni",
    ...["--set", "repairController.enabled=true,disableIPv6=false"],
    ...["--dest-cni-net-dir", folders.conf, "--dest-cni-bin-dir", folders.bin],
  ]);
  run(toolPath("kubectl"), ["--kubeconfig", kubeconfigPath, "apply", "-f", "-"], manifests);
  const account = { namespace: "linkerd-cni", name: "linkerd-cni" };
  writeFileSync(join(folders.account, "token"), await requestToken(admin, account, []));
  writeFileSync(join(folders.account, "ca.crt"), cluster.tls.ca!);

  // The node's own network plugin, before and after the installer.
  const cable = `#!/bin/sh\necho '{"cniVersion":"1.0.0","ips":[{"address":"10.99.0.2/24"}]}'\n`;
  writeFileSync(join(folders.bin, "cable"), cable, { mode: 0o755 });
  const original = { name: "cables", cniVersion: "1.0.0", plugins: [{ type: "cable" }] };
  writeFileSync(join(folders.conf, "10-cable.conflist"), JSON.stringify(original));
  const map = await admin.get(CONFIG_MAPS, { ...account, name: "linkerd-cni-config" });
  const installer = parts.use(
    new Running(["cni", "install", "--log-level", "debug"], {
      CNI_NETWORK_CONFIG: map.data!["cni_network_config"]!,
      DEST_CNI_NET_DIR: map.data!["dest_cni_net_dir"]!,
      DEST_CNI_BIN_DIR: map.data!["dest_cni_bin_dir"]!,
      CONTAINER_MOUNT_PREFIX: "/",
      CONTAINER_CNI_BIN_DIR: join(folder, "source"),
      SERVICEACCOUNT_PATH: folders.account,
      KUBERNETES_SERVICE_HOST: cluster.server.hostname,
      KUBERNETES_SERVICE_PORT: cluster.server.port,
    }),
  );
  await eventually("the installer", NEVER, async () => {
    assert.match(installer.log, /linkerd-cni is installed/, installer.log);
  });

  // Pods as the injector makes them in CNI mode.
  const annotations = { "config.linkerd.io/skip-inbound-ports": "9000" };
  await admin.create(NAMESPACES, { metadata: { name: "meshed", annotations } });
  await eventually("the namespace's account", NEVER, async () => {
    await admin.get(SERVICE_ACCOUNTS, { namespace: "meshed", name: "default" });
  });
  const labels = { "linkerd.io/control-plane-ns": "linkerd" };
  for (const [name, containers] of [
    ["web", ["app", "linkerd-proxy"]],
    ["early", ["app", "linkerd-proxy"]],
    ["plain", ["app"]],
  ] as const) {
    const spec = {
      nodeName: NODE,
      containers: containers.map((one) => ({ name: one, image: "image:1" })),
      initContainers: [VALIDATOR].map((one) => ({ name: one, image: "image:1" })),
    };
    const isMeshed = containers.length > 1;
    const metadata = { name, namespace: "meshed", labels: isMeshed ? labels : {} };
    await admin.create(PODS, { metadata, spec });
  }

  const web = parts.use(new PodNetwork());
  const runtime = new CniRuntime({ confFolder: folders.conf, binFolders: [folders.bin] });
  const sandbox = (name: string, { path }: PodNetwork): Sandbox => {
    return { containerId: `0123-${name}`, netns: path, namespace: "meshed", name };
  };
  const answer = await runtime.add(sandbox("web", web));
  assert.deepEqual(answer, { cniVersion: "1.0.0", ips: [{ address: "10.99.0.2/24" }] });
  const proven = validate(web, "10s");
  assert.equal(proven.code, 0, proven.err);
  assert.match(proven.err, /Validated/);
  await web.listen(web.pod, "inbound=4143", "outbound=4140", "app=8080", "skipped=9000");
  await web.listen(web.node, "elsewhere=7000");
  for (const [from, host, port, uid, expected] of [
    [web.node, "10.99.0.2", 8080, 0, /^inbound /],
    [web.node, "10.99.0.2", 9000, 0, /^skipped /],
    [web.node, "fd99::2", 8080, 0, /^inbound /],
    [web.pod, "10.99.0.1", 7000, 1_000, /^outbound /],
    [web.pod, "fd99::1", 7000, 1_000, /^outbound /],
    [web.pod, "10.99.0.1", 7000, PROXY_UID, /^elsewhere /],
  ] as const) {
    assert.match(await web.dial(from, host, port, uid), expected, `${host}:${port} as ${uid}`);
  }
  const plain = parts.use(new PodNetwork());
  await runtime.add(sandbox("plain", plain));
  const rules = await plain.run(plain.pod, "iptables-nft-save", "-t", "nat");
  assert.doesNotMatch(rules, /PROXY_INIT/);

  // A pod that came up before the plugin was there: its validator fails, and it is replaced.
  const failure = validate(plain, "300ms");
  assert.equal(failure.code, 95, failure.err);
  const early = await admin.get(PODS, { namespace: "meshed", name: "early" });
  const terminated = { exitCode: failure.code, reason: "Error" };
  const state = { ready: false, restartCount: 1, image: "image:1", imageID: "" };
  const initContainerStatuses = [{ name: VALIDATOR, lastState: { terminated }, ...state }];
  await admin.update(
    PODS,
    { ...early, status: { ...early.status, initContainerStatuses } },
    { subresource: "status" },
  );
  const kubeconfig = join(folders.conf, "ZZZ-linkerd-cni-kubeconfig");
  const repair = parts.use(
    new Running(["cni", "repair", "--kubeconfig", kubeconfig, "--admin-addr", "127.0.0.1:0"], {
      LINKERD_CNI_REPAIR_CONTROLLER_NODE_NAME: NODE,
      LINKERD_CNI_REPAIR_CONTROLLER_POD_NAME: "linkerd-cni-xyz",
    }),
  );
  await eventually("the repair", NEVER, async () => {
    const pods = await admin.list(PODS, { namespace: "meshed" });
    const names = pods.items.map(({ metadata }) => metadata.name).sort();
    assert.deepEqual(names, ["plain", "web"], repair.log);
    const events = await admin.list(NEW_EVENTS, { namespace: "meshed" });
    const reasons = events.items.map(({ reason }) => reason);
    assert.ok(reasons.includes("LinkerdCNINotConfigured"), repair.log);
  });
  assert.equal(await repair.stop(), 0, repair.log);
  assert.doesNotMatch(repair.log, /forbidden/i);

  // And the node is left as it was.
  assert.equal(await installer.stop(), 0, installer.log);
  assert.deepEqual(readdirSync(folders.bin), ["cable"]);
  assert.deepEqual(readdirSync(folders.conf), ["10-cable.conflist"]);
  const left = readFileSync(join(folders.conf, "10-cable.conflist"), "utf8");
  assert.deepEqual(JSON.parse(left), original);
});
