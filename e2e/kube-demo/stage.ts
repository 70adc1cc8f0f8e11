import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../scripts/test-suites.ts";
import { toolPath } from "../../scripts/tools.ts";
import { helmEnvironment } from "../helm/helm.ts";
import { output } from "../kube/ended.ts";
import { MeshNode } from "../kube/mesh-node.ts";
import { DNS_IP, OUTSIDE_IP } from "../kube/node-config.ts";

/** Of the cluster, whose names are its own: nothing of ours takes `cluster.local` for granted. */
export const DOMAIN = "weave.test";

/** Of the machine's application, on its loopback. */
const APP_PORT = 8080;

/** A node, and a machine that is none of its pods: a host beside it, with an address of its own. */
export class Stage implements AsyncDisposable {
  readonly node: MeshNode;
  readonly folder: string;
  readonly stop: AbortSignal;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    node: MeshNode,
    folder: string,
    stop: AbortSignal,
    parts: AsyncDisposableStack,
  ) {
    this.node = node;
    this.folder = folder;
    this.stop = stop;
    this.#parts = parts;
  }

  static async start(stop: AbortSignal): Promise<Stage> {
    await using parts = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "heddle-kube-demo-"));
    parts.defer(() => rmSync(folder, { recursive: true, force: true }));
    const node = parts.use(await MeshNode.start({ clusterDomain: DOMAIN }));
    writeFileSync(join(folder, "resolv.conf"), `nameserver ${DNS_IP}\n`);
    return new Stage(node, folder, stop, parts.move());
  }

  get kubeconfigPath(): string {
    return this.node.kubeconfigPath;
  }

  /** Starts the machine's application: it tells that it is the machine. */
  async startMachineApp(): Promise<void> {
    const program = `
      require("node:http")
        .createServer((request, response) => response.end("the machine\\n"))
        .listen(${APP_PORT}, "127.0.0.1", () => console.log("listening"));
    `;
    const app = this.node.start("machine-app", [process.execPath, "-e", program]);
    await app.until(async () => app.said().includes("listening"), 30_000);
  }

  /** Joins as the machine would, which has the cluster's names and no kubeconfig. */
  joinMachine(token: string): Promise<string> {
    const resolv = join(this.folder, "resolv.conf");
    const named = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    const state = join(this.folder, "machine");
    return this.node.exec([
      ...["unshare", "--mount", "sh", "-c", named, resolv],
      ...[join(ROOT, "heddle"), "join", token, "--rootless", "--state-dir", state],
      ...["--ip", OUTSIDE_IP, "--app-ip", "127.0.0.1"],
    ]);
  }

  /** Runs the real Helm, with everything that it keeps in a folder of ours. */
  helm(...args: readonly string[]): Promise<string> {
    const env = helmEnvironment(join(this.folder, "helm"), this.kubeconfigPath);
    return output([toolPath("helm"), ...args], { env });
  }

  leaveMachine(): Promise<string> {
    const state = join(this.folder, "machine");
    return this.node.exec([join(ROOT, "heddle"), "leave", "--state-dir", state]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}
