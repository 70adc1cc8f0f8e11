import { execFile, spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const PREFIX_LENGTH = 24;
const execute = promisify(execFile);

/** One network namespace that plays a machine. */
export interface Host {
  /** As `ip netns` knows it. */
  readonly namespace: string;
  readonly ip: string;
}

/**
 * A switch and the hosts at it, all in namespaces of their own: nothing of this machine's network is
 * touched.
 */
export class Network<Name extends string> {
  readonly hosts: Readonly<Record<Name, Host>>;
  readonly bridge: Host;

  /** @param run - Unique on this machine; begins the name of every namespace. */
  constructor(run: string, names: readonly Name[]) {
    this.bridge = { namespace: `${run}-switch`, ip: "10.77.0.1" };
    const hosts = names.map((name, i) => [
      name,
      { namespace: `${run}-${name}`, ip: `10.77.0.${i + 2}` },
    ]);
    this.hosts = Object.fromEntries(hosts) as Record<Name, Host>;
  }

  get #all(): readonly Host[] {
    return [this.bridge, ...Object.values<Host>(this.hosts)];
  }

  create(): void {
    for (const { namespace } of this.#all) {
      ip("netns", "add", namespace);
      ip("-n", namespace, "link", "set", "lo", "up");
    }
    const { namespace: at, ip: gateway } = this.bridge;
    ip("-n", at, "link", "add", "br0", "type", "bridge");
    ip("-n", at, "address", "add", `${gateway}/${PREFIX_LENGTH}`, "dev", "br0");
    ip("-n", at, "link", "set", "br0", "up");
    for (const [i, { namespace, ip: own }] of Object.values<Host>(this.hosts).entries()) {
      const cable = ["type", "veth", "peer", "name", "eth0", "netns", namespace];
      ip("-n", at, "link", "add", `port${i}`, ...cable);
      ip("-n", at, "link", "set", `port${i}`, "master", "br0", "up");
      ip("-n", namespace, "address", "add", `${own}/${PREFIX_LENGTH}`, "dev", "eth0");
      ip("-n", namespace, "link", "set", "eth0", "up");
      // Cluster IPs need a route to be sent at all; rules redirect them before they leave.
      ip("-n", namespace, "route", "add", "default", "via", gateway);
    }
  }

  /** Ends every process in our namespaces, by its id, and takes them away. */
  async remove(): Promise<void> {
    const known = new Set(run("ip", ["netns", "list"]).split(/\s+/));
    const ours = this.#all.filter(({ namespace }) => known.has(namespace));
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const alive = (): number[] => ours.flatMap(({ namespace }) => pidsIn(namespace));
      for (const pid of alive()) kill(pid, signal);
      const deadline = performance.now() + 3_000;
      while (alive().length > 0 && performance.now() < deadline) await sleep(50);
    }
    for (const { namespace } of ours) ip("netns", "delete", namespace);
  }
}

/** The command line that runs a program on a host. */
export function on(host: Host, command: readonly string[]): [string, string[]] {
  return ["ip", ["netns", "exec", host.namespace, ...command]];
}

/** Runs a program on a host to its end. @returns its standard output. @throws if it fails. */
export async function onHost(host: Host, command: readonly string[]): Promise<string> {
  const [program, args] = on(host, command);
  return (await execute(program, args, { timeout: 60_000 })).stdout;
}

/** Runs a program to its end. @returns its standard output. @throws what it wrote if it failed. */
export function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    timeout: 60_000,
  });
  if (status === 0) return stdout;
  const state = error?.message ?? `it ended with ${status}: ${stderr}${stdout}`;
  throw new Error(`Cannot run ${program} ${args.join(" ")}: ${state}`);
}

function ip(...args: readonly string[]): void {
  run("ip", args);
}

function pidsIn(namespace: string): number[] {
  return run("ip", ["netns", "pids", namespace]).split(/\s+/).filter(Boolean).map(Number);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
