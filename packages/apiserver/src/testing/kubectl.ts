import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface KubectlResult {
  readonly code: number;
  /** Standard output. */
  readonly out: string;
  /** Standard error. */
  readonly err: string;
}

/** Where `node scripts/tools.ts` has put kubectl. */
function kubectlPath(): string {
  const cache = process.env["HEDDLE_CACHE"] ?? join(homedir(), ".cache", "heddle");
  return join(cache, "bin", "kubectl");
}

/** For `test(…, { skip })`: why kubectl cannot be run here, or false. */
export function kubectlMissing(): string | false {
  return !existsSync(kubectlPath()) && "kubectl is not built: run node scripts/tools.ts";
}

/** The real kubectl, with a home of its own. */
export class Kubectl {
  readonly #folder: string;
  readonly #kubeconfig: string;
  readonly #env: Readonly<Record<string, string>>;

  /** @param more - Variables of its environment beside those that it needs. */
  constructor(folder: string, kubeconfig: string, more: Readonly<Record<string, string>> = {}) {
    this.#folder = folder;
    const path = join(folder, "kubectl.kubeconfig");
    writeFileSync(path, kubeconfig);
    const search = process.env["PATH"] ?? "";
    // Its cache of discovery would outlive the server.
    this.#env = {
      PATH: search,
      HOME: folder,
      KUBECONFIG: path,
      KUBECACHEDIR: join(folder, "cache"),
      ...more,
    };
    this.#kubeconfig = kubeconfig;
  }

  /** The same with further variables in its environment. */
  with(more: Readonly<Record<string, string>>): Kubectl {
    return new Kubectl(this.#folder, this.#kubeconfig, more);
  }

  /** Runs to the end; never throws for what kubectl itself says. */
  run(...args: readonly string[]): Promise<KubectlResult> {
    return new Promise((resolve, reject) => {
      execFile(kubectlPath(), [...args], { env: this.#env, timeout: 60_000 }, (error, out, err) => {
        if (error === null) resolve({ code: 0, out, err });
        else if (typeof error.code === "number") resolve({ code: error.code, out, err });
        else reject(error);
      });
    });
  }

  /** Its output; throws if it fails. */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${code}: ${err}`);
    return out;
  }

  /** Writes manifests, JSON of whatever objects, and gives the file's path. */
  file(name: string, ...objects: readonly object[]): string {
    const path = join(this.#folder, `${name}.json`);
    const list = { apiVersion: "v1", kind: "List", items: objects };
    writeFileSync(path, JSON.stringify(objects.length === 1 ? objects[0] : list));
    return path;
  }

  /** Starts one that goes on, such as `get -w`. */
  start(...args: readonly string[]): RunningKubectl {
    return new RunningKubectl(
      spawn(kubectlPath(), [...args], { env: this.#env, stdio: ["ignore", "pipe", "inherit"] }),
    );
  }
}

export class RunningKubectl implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** The next line; undefined when it has ended. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : (value as string);
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
