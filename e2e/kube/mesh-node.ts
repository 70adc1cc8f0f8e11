import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientVersion } from "@heddle/cli/commands/version";
import { eventually } from "@heddle/cli/mesh";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { PODS, type Pod } from "@heddle/kube/types/core";
import { TestCa } from "@heddle/testkit/ca";
import { writeImages } from "../../scripts/images.ts";
import { ROOT } from "../../scripts/test-suites.ts";
import type { Daemon } from "./daemon.ts";
import { type Ended, ended, output } from "./ended.ts";
import { newNodeFolder } from "./leftovers.ts";
import { type KubeNode, type NodeOptions, startKubeNode } from "./node.ts";
import { OUTSIDE_IP } from "./node-config.ts";
import { ARCHITECTURE } from "./test-images.ts";

/** What is waited for comes, or the file's own time is over. */
export const NEVER: AbortSignal = new AbortController().signal;

const WAIT = "--timeout=300s";

const CONTROL_PLANE = ["linkerd-identity", "linkerd-destination", "linkerd-proxy-injector"];

/** A node on which our control plane runs, from our own chart and our own images. */
export class MeshNode implements AsyncDisposable {
  readonly client: KubeClient;
  /** Of our images. */
  readonly version: string = clientVersion();
  readonly #folder: string;
  #outside: Promise<void> | undefined;
  readonly #node: KubeNode;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    folder: string,
    node: KubeNode,
    client: KubeClient,
    parts: AsyncDisposableStack,
  ) {
    this.#folder = folder;
    this.#node = node;
    this.client = client;
    this.#parts = parts;
  }

  static async start(options: NodeOptions = {}): Promise<MeshNode> {
    await using parts = new AsyncDisposableStack();
    const folder = newNodeFolder();
    parts.defer(() => rmSync(folder, { recursive: true, force: true }));
    const names = ["proxy", "control"];
    const archives = await writeImages({ architectures: [ARCHITECTURE], names, folder });
    const node = parts.use(await startKubeNode(options));
    await node.importImages(archives);
    const cluster = loadKubeconfig({ paths: [node.kubeconfigPath] });
    const client = parts.use(new KubeClient({ cluster }));
    const all = parts.move();
    return new MeshNode(folder, node, client, all);
  }

  /** An administrator's, for programs of this machine. */
  get kubeconfigPath(): string {
    return this.#node.kubeconfigPath;
  }

  /** Where the node keeps its pod networks' configuration and plugins. */
  get cni(): KubeNode["cni"] {
    return this.#node.cni;
  }

  /** Runs a program in the node's network to its end. @returns what it printed. */
  exec(program: readonly string[]): Promise<string> {
    return this.#node.exec(program);
  }

  /** The same, for a program that may fail. */
  ended(program: readonly string[]): Promise<Ended> {
    return this.#node.ended(program);
  }

  /** Gives the node images, from OCI archives. */
  importImages(archives: readonly string[]): Promise<void> {
    return this.#node.importImages(archives);
  }

  /** Makes one more of our images, and gives it to the node. */
  async addImage(name: string): Promise<void> {
    const options = { architectures: [ARCHITECTURE], names: [name], folder: this.#folder };
    await this.importImages(await writeImages(options));
  }

  /** Starts a program in the node's network; it ends with the node. */
  start(name: string, program: readonly string[]): Daemon {
    return this.#node.start(name, program);
  }

  /** `heddle …`, with our kubeconfig. @returns what it printed. */
  heddle(...args: readonly string[]): Promise<string> {
    return output([join(ROOT, "heddle"), ...args], { env: this.#env() });
  }

  /** The same, with something to read. */
  heddleWith(input: string, ...args: readonly string[]): Promise<string> {
    return output([join(ROOT, "heddle"), ...args], { env: this.#env(), input });
  }

  /** The same, for what may fail. */
  heddleEnded(...args: readonly string[]): Promise<Ended> {
    return ended([join(ROOT, "heddle"), ...args], { env: this.#env() });
  }

  /** `heddle install`, applied, until all of it is available; with the Gateway API's routes. */
  async install(...flags: readonly string[]): Promise<void> {
    await this.installCrds("--set", "installGatewayAPI=true");
    await this.installControlPlane(...flags);
  }

  /** `heddle install --crds`, applied. */
  async installCrds(...flags: readonly string[]): Promise<void> {
    await this.kubectl(["apply", "-f", "-"], await this.heddle("install", "--crds", ...flags));
  }

  /** `heddle install`, applied, until all of it is available. */
  async installControlPlane(...flags: readonly string[]): Promise<void> {
    await this.kubectl(["apply", "-f", "-"], await this.heddle("install", ...flags));
    const wanted = ["wait", "--for=condition=Available", "deployment", "--all", WAIT];
    await this.kubectl(["-n", "linkerd", ...wanted]);
  }

  /** `heddle upgrade`, applied, until all of the new release runs and nothing of the old. */
  async upgradeControlPlane(...flags: readonly string[]): Promise<void> {
    await this.kubectl(["apply", "-f", "-"], await this.heddle("upgrade", ...flags));
    await this.ready("linkerd", ...CONTROL_PLANE);
  }

  /** A server that is not in the cluster, once. @returns when it listens. */
  startOutside(): Promise<void> {
    this.#outside ??= this.#startOutside();
    return this.#outside;
  }

  async #startOutside(): Promise<void> {
    const leaf = await (await TestCa.root()).leaf({ sans: [{ dns: "outside.test" }] });
    const [certificate, key] = ["crt", "key"].map((end) => join(this.#folder, `outside.${end}`));
    writeFileSync(certificate!, leaf.pem);
    writeFileSync(key!, leaf.keyPem);
    const script = join(import.meta.dirname, "outside.ts");
    const program = [process.execPath, script, OUTSIDE_IP, certificate!, key!];
    const server = this.#node.start("outside", program);
    await server.until(async () => server.said().includes("listening"), 30_000);
  }

  /** @returns what it printed. @throws what it said if it failed. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.#node.exec(["kubectl", ...args], input);
  }

  /** Makes these, or makes them so. */
  async apply(...items: readonly object[]): Promise<void> {
    const list = { apiVersion: "v1", kind: "List", items };
    await this.kubectl(["apply", "-f", "-"], JSON.stringify(list));
  }

  /** Has these while `body` runs. */
  async with(items: readonly object[], body: () => Promise<void>): Promise<void> {
    await this.apply(...items);
    try {
      await body();
    } finally {
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
      await this.kubectl(["delete", "--ignore-not-found", "-f", "-"], list);
    }
  }

  /** The status that curl of a Deployment gets of a URL; 000 if it gets no answer. */
  async status(namespace: string, app: string, url: string): Promise<string> {
    const flags = ["-s", "-o", "/dev/null", "--max-time", "5", "-w", "%{http_code}"];
    return (await this.run(namespace, app, ["curl", ...flags, url])).out;
  }

  /** @returns when all replicas of these Deployments are ready. */
  async ready(namespace: string, ...deployments: readonly string[]): Promise<void> {
    for (const name of deployments) {
      await this.kubectl(["-n", namespace, "rollout", "status", `deployment/${name}`, WAIT]);
    }
  }

  /** A pod with this label, of which there must be one. */
  async pod(namespace: string, app: string): Promise<Pod> {
    const { items } = await this.client.list(PODS, { namespace, labelSelector: `app=${app}` });
    const [pod] = items;
    if (pod === undefined || items.length > 1) {
      throw new Error(`Cannot choose a pod: ${namespace} has ${items.length} of ${app}`);
    }
    return pod;
  }

  /** Runs a program in a Deployment's first container to its end. */
  async run(namespace: string, app: string, command: readonly string[]): Promise<Ended> {
    // Its own exit code is told last, since kubectl's may have other reasons.
    const shell = ["sh", "-c", '"$@" 2>/tmp/err; echo "$?" >&2; cat /tmp/err >&2', "sh"];
    const target = ["-n", namespace, "exec", `deployment/${app}`, "-c", app, "--"];
    const said = await this.#node.ended(["kubectl", ...target, ...shell, ...command]);
    const [, code, err] = /^(\d+)\n(.*)$/s.exec(said.err) ?? [];
    if (code === undefined) throw new Error(`Cannot run ${command.join(" ")}: ${said.err}`);
    return { code: Number(code), out: said.out, err: err! };
  }

  /** The metrics of a pod's proxy. */
  async metrics(pod: Pod): Promise<string> {
    const address = await this.#node.reach(pod.status?.podIP ?? "", 4191);
    return await (await fetch(`http://${address}/metrics`)).text();
  }

  /** Asks for a proxy's metrics until one of its lines fits. @returns the line. */
  async metric(pod: Pod, pattern: RegExp): Promise<string> {
    return await eventually(`${pod.metadata.name}: ${pattern.source}`, NEVER, async () => {
      const lines = (await this.metrics(pod)).split("\n");
      const line = lines.find((candidate) => pattern.test(candidate));
      if (line === undefined) throw new Error("no line of its metrics fits");
      return line;
    });
  }

  #env(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.#node.kubeconfigPath };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}
