import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { isRoot, missing } from "@heddle/testkit/tools";
import { CNI_PLUGIN } from "../../scripts/machine.ts";
import { toolPath } from "../../scripts/tools.ts";
import {
  answers,
  apiserverFlags,
  etcdFlags,
  LAST_ROLE,
  managerFlags,
  READY_MS,
} from "./api-server.ts";
import { Daemon } from "./daemon.ts";
import { type Ended, ended, output } from "./ended.ts";
import { Passage } from "./gate.ts";
import { newCgroup, newNodeFolder, removeCgroup, sweep } from "./leftovers.ts";
import { Namespaces } from "./namespaces.ts";
import {
  CLUSTER_DOMAIN,
  dnsManifest,
  HAS_IPV6,
  NODE,
  NODE_IPS,
  nodeFiles,
  OUTSIDE_IP,
  SERVICE_CIDRS,
} from "./node-config.ts";
import { writePki } from "./pki.ts";
import { writeTestImages } from "./test-images.ts";

const TOOLS = [
  "coredns",
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-proxy",
  "kube-scheduler",
  "kubectl",
  "kubelet",
  "pause",
] as const;

const PROGRAMS = ["conntrack", "containerd", "ctr", "ip", "iptables", "nsenter", "runc"];

/** A single node, which is a whole cluster. Disposing of it leaves nothing behind. */
export interface KubeNode extends AsyncDisposable {
  /** An administrator's, for programs of this machine. */
  readonly kubeconfigPath: string;
  /** Where the node keeps its pod networks' configuration and plugins, for somebody to add to. */
  readonly cni: { readonly conf: string; readonly bin: string };
  /**
   * Runs a program on the node to its end, where `kubectl` and `ctr` know whom to talk to.
   *
   * @returns what it printed.
   * @throws what it said if it failed.
   */
  exec(program: readonly string[], input?: string): Promise<string>;
  /** The same, for a program that may fail. */
  ended(program: readonly string[], input?: string): Promise<Ended>;
  /** Makes a port of the node's network reachable from here. @returns `127.0.0.1:PORT`. */
  reach(host: string, port: number): Promise<string>;
  /** Starts a program beside the node's own, in their network; it ends with the node. */
  start(name: string, program: readonly string[]): Daemon;
  /** Gives the node images, from OCI archives. */
  importImages(archives: readonly string[]): Promise<void>;
}

export interface NodeOptions {
  /** Under which the cluster's names are; `cluster.local` if left out. */
  readonly clusterDomain?: string;
}

/** Why no node can be had here, or false. For `test(…, { skip })`. */
export function nodeProblem(): string | false {
  if (!isRoot()) return "needs root, to make namespaces";
  const absent = TOOLS.filter((name) => !existsSync(toolPath(name)));
  if (absent.length > 0) return `not built: ${absent.join(", ")}`;
  if (!existsSync(CNI_PLUGIN)) return `not installed: ${CNI_PLUGIN}`;
  return missing(...PROGRAMS);
}

/**
 * A real Kubernetes with one node that runs pods: containerd, kubelet, kube-proxy, DNS and all
 * controllers, in namespaces of their own. Needs root.
 */
export async function startKubeNode({
  clusterDomain = CLUSTER_DOMAIN,
}: NodeOptions = {}): Promise<KubeNode> {
  sweep();
  await using parts = new AsyncDisposableStack();
  const folder = newNodeFolder();
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const cgroup = newCgroup();
  parts.defer(() => removeCgroup(cgroup));
  const logs = join(folder, "log");
  mkdirSync(logs);
  for (const [path, text] of Object.entries(nodeFiles(folder, cgroup, clusterDomain))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const cni = { conf: join(folder, "cni"), bin: join(folder, "cni-bin") };
  linkPlugins(cni.bin);
  await writePki(join(folder, "pki"), "https://127.0.0.1:6443", NODE);
  const namespaces = parts.use(await Namespaces.start(logs));
  for (const command of preparation(folder)) namespaces.run(command);

  const run = (name: string, command: readonly string[]): Daemon =>
    parts.use(new Daemon(name, namespaces.command(command), join(logs, `${name}.log`)));
  const gatePath = join(folder, "gate.sock");
  const gate = run("gate", [process.execPath, join(import.meta.dirname, "gate.ts"), gatePath]);
  await gate.until(async () => existsSync(gatePath), READY_MS);
  const reach = async (host: string, port: number): Promise<string> =>
    parts.use(await Passage.open(gatePath, host, port)).address;
  const kubeconfigPath = writeOuterKubeconfig(folder, await reach("127.0.0.1", 6443));
  const inside = (program: readonly string[]): string[] =>
    namespaces.command([...environment(folder), ...program]);
  const exec = (program: readonly string[], input = ""): Promise<string> =>
    output(inside(program), { input });

  const containerd = run("containerd", ["containerd", "-c", join(folder, "containerd.toml")]);
  const importImages = async (archives: readonly string[]): Promise<void> => {
    for (const path of archives) await exec(["ctr", "-n", "k8s.io", "images", "import", path]);
  };
  const images = (async () => {
    const archives = writeTestImages(folder);
    await containerd.until(() => answers(exec(["ctr", "version"])), READY_MS);
    await importImages(archives);
  })();
  await Promise.all([startControlPlane(folder, kubeconfigPath, run), images]);
  await startKubelet(folder, kubeconfigPath, run);
  await exec(["kubectl", "apply", "-f", "-"], JSON.stringify(dnsManifest(clusterDomain)));
  // Everything in the namespaces ends at once, so that nothing holds on to what is taken away then.
  parts.defer(() => namespaces[Symbol.asyncDispose]());
  const all = parts.move();
  return {
    kubeconfigPath,
    cni,
    exec,
    ended: (program, input = "") => ended(inside(program), { input }),
    reach: async (host, port) => all.use(await Passage.open(gatePath, host, port)).address,
    start: (name, program) =>
      all.use(new Daemon(name, namespaces.command(program), join(logs, `${name}.log`))),
    importImages,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** The machine's plugins by name, in a folder where more can be put without touching the machine's. */
function linkPlugins(folder: string): void {
  const installed = dirname(CNI_PLUGIN);
  mkdirSync(folder);
  for (const name of readdirSync(installed)) symlinkSync(join(installed, name), join(folder, name));
}

type Run = (name: string, command: readonly string[]) => Daemon;

const PREPARATION_OF_IPV6 = [
  ["ip", "address", "add", `${NODE.ip6}/64`, "dev", "node0", "nodad"],
  ["ip", "-6", "route", "add", "default", "dev", "node0"],
  ["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"],
];

/** What must be so in the namespaces before anything starts there. */
function preparation(folder: string): string[][] {
  const wanted = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
  };
  // The kubelet would set these for the whole machine: it sees files that say what it wants.
  const settings = Object.entries(wanted).filter(([name]) => existsSync(`/proc/sys/${name}`));
  mkdirSync(join(folder, "sysctl"));
  const fixed = settings.map(([name, value]) => {
    const path = join(folder, "sysctl", name.replaceAll("/", "."));
    writeFileSync(path, `${value}\n`);
    return ["mount", "--bind", path, `/proc/sys/${name}`];
  });
  return [
    ["mount", "--make-rshared", "/"],
    // What programs keep of pods, networks and logs ends with the mounts.
    ...["/run", "/var/lib", "/var/log"].map((path) => ["mount", "-t", "tmpfs", "tmpfs", path]),
    ...fixed,
    ["ip", "link", "set", "lo", "up"],
    ["ip", "link", "add", "node0", "type", "bridge"],
    ["ip", "address", "add", `${NODE.ip}/24`, "dev", "node0"],
    ["ip", "address", "add", `${OUTSIDE_IP}/32`, "dev", "node0"],
    ["ip", "link", "set", "node0", "up"],
    // Addresses of Services need a route to be sent at all; kube-proxy's rules send them elsewhere.
    ["ip", "route", "add", "default", "dev", "node0"],
    ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0"],
    ...(HAS_IPV6 ? PREPARATION_OF_IPV6 : []),
  ];
}

async function startControlPlane(folder: string, kubeconfigPath: string, run: Run): Promise<void> {
  const pki = join(folder, "pki");
  const etcd = "http://127.0.0.1:2379";
  run("etcd", program("etcd", etcdFlags(join(folder, "etcd"), etcd, "http://127.0.0.1:2380")));
  const { "endpoint-reconciler-type": _, ...shared } = apiserverFlags(pki, 6443, etcd);
  const server = run(
    "kube-apiserver",
    program("kube-apiserver", {
      ...shared,
      "bind-address": "0.0.0.0",
      "advertise-address": NODE.ip,
      "service-cluster-ip-range": SERVICE_CIDRS,
      "kubelet-certificate-authority": join(pki, "ca.crt"),
      "kubelet-client-certificate": join(pki, "admin.crt"),
      "kubelet-client-key": join(pki, "admin.key"),
      "kubelet-preferred-address-types": "InternalIP",
    }),
  );
  using kube = new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) });
  await server.until(() => answers(kube.raw("GET", LAST_ROLE)), READY_MS);
  const { controllers: _all, ...manager } = managerFlags(pki, 10_257);
  run("kube-controller-manager", program("kube-controller-manager", manager));
  const scheduler = join(pki, "scheduler.kubeconfig");
  run(
    "kube-scheduler",
    program("kube-scheduler", {
      kubeconfig: scheduler,
      "authentication-kubeconfig": scheduler,
      "authorization-kubeconfig": scheduler,
      "bind-address": "127.0.0.1",
      "leader-elect": "false",
      profiling: "false",
    }),
  );
}

/** @returns when pods can be made. */
async function startKubelet(folder: string, kubeconfigPath: string, run: Run): Promise<void> {
  const kubelet = run(
    "kubelet",
    program("kubelet", {
      config: join(folder, "kubelet.json"),
      kubeconfig: join(folder, "pki", "kubelet.kubeconfig"),
      "root-dir": join(folder, "kubelet"),
      "node-ip": NODE_IPS,
      "hostname-override": NODE.name,
    }),
  );
  run("kube-proxy", program("kube-proxy", { config: join(folder, "kube-proxy.json") }));
  using kube = new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) });
  await kubelet.until(async () => {
    const node = await kube.raw("GET", `/api/v1/nodes/${NODE.name}`).catch(() => undefined);
    return isReady(node);
  }, READY_MS);
  const account = { namespace: "default", name: "default" };
  await kubelet.until(() => answers(kube.get(SERVICE_ACCOUNTS, account)), READY_MS);
}

interface NodeStatus {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

function isReady(node: unknown): boolean {
  const conditions = (node as NodeStatus | undefined)?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

function program(name: string, flags: Readonly<Record<string, string>>): string[] {
  return [toolPath(name), ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)];
}

function environment(folder: string): string[] {
  return [
    "env",
    `PATH=${dirname(toolPath("kubectl"))}:/usr/local/sbin:/usr/sbin:/sbin:${process.env["PATH"] ?? ""}`,
    `KUBECONFIG=${join(folder, "pki", "admin.kubeconfig")}`,
    `CONTAINERD_ADDRESS=${join(folder, "containerd.sock")}`,
  ];
}

function writeOuterKubeconfig(folder: string, address: string): string {
  const text = readFileSync(join(folder, "pki", "admin.kubeconfig"), "utf8");
  const path = join(folder, "kubeconfig");
  writeFileSync(path, text.replace("127.0.0.1:6443", address), { mode: 0o600 });
  return path;
}
