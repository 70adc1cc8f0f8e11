import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/** A pod that joins a network. */
export interface Sandbox {
  readonly containerId: string;
  /** A file that is its network namespace. */
  readonly netns: string;
  readonly namespace: string;
  readonly name: string;
}

export interface CniRuntimeOptions {
  /** `/etc/cni/net.d` of the node. */
  readonly confFolder: string;
  /** Where plugins are looked for, one after the other. */
  readonly binFolders: readonly string[];
  /** Begins a plugin's command line, by its type: what puts it onto the node. */
  readonly place?: (type: string) => readonly string[];
}

interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly { readonly type: string }[];
}

/** What a plugin answered when it failed. */
export class CniFailure extends Error {
  override readonly name: string = "CniFailure";
}

/**
 * What a container runtime does with the first list of its folder, by the specification: every
 * plugin is called by its type, in order, with what the one before it said.
 */
export class CniRuntime {
  readonly #options: CniRuntimeOptions;
  /** What the last plugin said of each container. */
  readonly #results = new Map<string, object>();

  constructor(options: CniRuntimeOptions) {
    this.#options = options;
  }

  /** @returns the network's answer. @throws CniFailure with what a plugin answered. */
  async add(pod: Sandbox): Promise<object> {
    const list = this.#list();
    let result: object | undefined;
    for (const plugin of list.plugins) {
      result = JSON.parse(await this.#call("ADD", list, plugin, pod, result)) as object;
    }
    this.#results.set(pod.containerId, result ?? {});
    return result ?? {};
  }

  /** @throws CniFailure if the network is not what it was. */
  async check(pod: Sandbox): Promise<void> {
    const list = this.#list();
    const result = this.#results.get(pod.containerId);
    for (const plugin of list.plugins) await this.#call("CHECK", list, plugin, pod, result);
  }

  async delete(pod: Sandbox): Promise<void> {
    const list = this.#list();
    const result = this.#results.get(pod.containerId);
    for (const plugin of [...list.plugins].reverse()) {
      await this.#call("DEL", list, plugin, pod, result);
    }
    this.#results.delete(pod.containerId);
  }

  #list(): NetworkList {
    const { confFolder } = this.#options;
    const [first] = readdirSync(confFolder)
      .filter((name) => /\.conf(?:list)?$/.test(name))
      .sort();
    if (first === undefined) throw new Error(`Cannot find a network in ${confFolder}`);
    return JSON.parse(readFileSync(join(confFolder, first), "utf8")) as NetworkList;
  }

  async #call(
    command: string,
    { name, cniVersion }: NetworkList,
    plugin: { readonly type: string },
    pod: Sandbox,
    prevResult: object | undefined,
  ): Promise<string> {
    const { binFolders, place = () => [] } = this.#options;
    const program = binFolders.map((folder) => join(folder, plugin.type)).find(existsSync);
    if (program === undefined) throw new Error(`Cannot find the plugin ${plugin.type}`);
    const variables = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod.containerId,
      CNI_NETNS: pod.netns,
      CNI_IFNAME: "eth0",
      CNI_PATH: binFolders.join(":"),
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}`,
      // A runtime's environment is not ours: no more than what the specification promises.
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    };
    const line = [
      ...place(plugin.type),
      "env",
      "-i",
      ...Object.entries(variables).map(([key, value]) => `${key}=${value}`),
      program,
    ];
    const child = spawn(line[0]!, line.slice(1));
    // A plugin that fails early has not read everything; what it answers says why.
    child.stdin.on("error", () => {});
    child.stdin.end(
      JSON.stringify({
        ...plugin,
        name,
        cniVersion,
        ...(prevResult === undefined ? {} : { prevResult }),
      }),
    );
    const ended = new Promise((resolve) => child.once("close", resolve));
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const status = await ended;
    if (status === 0) return stdout;
    throw new CniFailure(`${plugin.type} ${command}: ${stdout}${stderr}`);
  }
}
