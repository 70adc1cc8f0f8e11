import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ApiserverOptions } from "@heddle/apiserver/server";

/** What may be said on a command line. */
export type ProcessOptions = Pick<
  ApiserverOptions,
  "host" | "port" | "serviceCidr" | "history" | "maxPages"
>;

/** A server in a process of its own. */
export class ServerProcess {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
  readonly #child: ChildProcess;

  /** @param maxFiles - How many descriptors it may have. */
  static async start(
    dataDir: string,
    options: ProcessOptions = {},
    maxFiles?: number,
  ): Promise<ServerProcess> {
    const script = fileURLToPath(new URL("./child.ts", import.meta.url));
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", script];
    const limit = maxFiles === undefined ? "" : `ulimit -n ${maxFiles} && `;
    const child = spawn(
      "/bin/sh",
      ["-c", `${limit}exec "$@"`, "sh", ...node, dataDir, JSON.stringify(options)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const line = await Promise.race([
      once(createInterface({ input: child.stdout! }), "line"),
      once(child, "exit").then(() => undefined),
    ]);
    if (line === undefined) throw new Error("the server ended before it was ready");
    const ready = JSON.parse(line[0] as string) as {
      readonly url: string;
      readonly caPem: string;
      readonly adminToken: string;
    };
    return new ServerProcess(child, ready.url, ready.caPem, ready.adminToken);
  }

  private constructor(child: ChildProcess, url: string, caPem: string, token: string) {
    this.#child = child;
    this.url = url;
    this.caPem = caPem;
    this.token = token;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Ends the process and waits until it is gone. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill(signal);
    await gone;
  }
}
