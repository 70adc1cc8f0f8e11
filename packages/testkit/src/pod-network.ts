import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { isRoot, missing } from "./tools.ts";

const execute = promisify(execFile);
const SCRIPTS = join(import.meta.dirname, "pod-network");
let made = 0;

/** Why there can be no namespaces here, or false. */
export function noNamespaces(...tools: readonly string[]): string | false {
  return isRoot() ? missing("ip", "unshare", "nsenter", ...tools) : "needs root";
}

/**
 * A pod's network namespace and that of its node, joined by a cable: the pod is 10.99.0.2 and
 * fd99::2, the node 10.99.0.1 and fd99::1. Nothing of this machine's own network is touched. Without
 * a cable somebody else has to join them.
 */
export class PodNetwork implements AsyncDisposable {
  readonly pod: string;
  readonly node: string;
  readonly #children: ChildProcess[] = [];

  constructor({ hasCable = true }: { readonly hasCable?: boolean } = {}) {
    const run = `hdl-init-${process.pid}-${made++}`;
    this.pod = `${run}-pod`;
    this.node = `${run}-node`;
    for (const name of [this.pod, this.node]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    if (hasCable) this.#join();
  }

  /** The file that stands for the pod's namespace. */
  get path(): string {
    return join("/run/netns", this.pod);
  }

  /** Starts listeners: `name=port` each. */
  async listen(at: string, ...ports: readonly string[]): Promise<void> {
    const script = join(SCRIPTS, "listeners.ts");
    const child = spawn("ip", ["netns", "exec", at, process.execPath, script, ...ports], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#children.push(child);
    await once(child.stdout!, "data");
  }

  /** What who connects hears. */
  async dial(at: string, host: string, port: number, uid = 0): Promise<string> {
    const script = join(SCRIPTS, "dial.ts");
    return await this.run(at, process.execPath, script, String(uid), host, String(port));
  }

  /** Runs a program to its end. @returns what it printed. */
  async run(at: string, ...command: readonly string[]): Promise<string> {
    const { stdout } = await execute("ip", ["netns", "exec", at, ...command], { timeout: 60_000 });
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    for (const name of [this.pod, this.node]) ip("netns", "delete", name);
  }

  #join(): void {
    const peer = ["type", "veth", "peer", "name", "eth0", "netns", this.pod];
    ip("-n", this.node, "link", "add", "cable", ...peer);
    for (const [name, link, host] of [
      [this.node, "cable", "1"],
      [this.pod, "eth0", "2"],
    ] as const) {
      ip("-n", name, "address", "add", `10.99.0.${host}/24`, "dev", link);
      // Without looking for duplicates, which takes a second during which it cannot be used.
      ip("-n", name, "address", "add", `fd99::${host}/64`, "dev", link, "nodad");
      ip("-n", name, "link", "set", link, "up");
    }
    ip("-n", this.pod, "route", "add", "default", "via", "10.99.0.1");
    ip("-n", this.pod, "route", "add", "default", "via", "fd99::1");
  }
}

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}
