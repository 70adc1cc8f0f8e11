import { spawn } from "node:child_process";
import { join } from "node:path";
import { Supervised } from "@heddle/agent/supervisor";
import { Log } from "@heddle/base/log";
import { selfCommand } from "@heddle/cli/self";
import { LOOPBACK_MESH } from "./addresses.ts";
import { NAMESPACE } from "./manifests.ts";
import type { Stage } from "./stage.ts";

const HOST = 41;

/** A machine from outside: nothing is known of it but what `heddle invite` says. */
export class Machine implements AsyncDisposable {
  readonly name = "machine-1";
  readonly #stage: Stage;
  readonly #stateDir: string;
  #app: Supervised | undefined;
  #hasJoined = false;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#stateDir = join(stage.folder, this.name);
  }

  /** Invites and joins, by the commands that a person would type. @returns its SPIFFE id. */
  async join(): Promise<string> {
    const { block, mesh } = this.#stage;
    const [program, ...args] = this.#stage.program("catalog.ts");
    this.#app = new Supervised(
      {
        name: this.name,
        command: program!,
        args,
        env: {
          PATH: process.env["PATH"] ?? "",
          NAME: this.name,
          HOST: block.app(HOST),
          PORT: "8080",
        },
        onLine: () => {},
      },
      Log.silent(),
    );
    const token = await this.#heddle(
      ...["invite", "--kubeconfig", mesh.kubeconfigPath, "-n", NAMESPACE, "--name", this.name],
      ...["--service-port", "8080:main", "--label", "app=catalog"],
    );
    const said = await this.#heddle(
      ...["join", token.trim(), "--rootless", "--state-dir", this.#stateDir],
      ...["--ip", block.mesh(HOST), "--app-ip", block.app(HOST)],
    );
    this.#hasJoined = true;
    return /spiffe:\/\/\S+/.exec(said)?.[0] ?? said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasJoined) await this.#heddle("leave", "--state-dir", this.#stateDir);
    await this.#app?.close();
  }

  /** Runs the CLI to its end. @returns what it wrote to standard output. */
  async #heddle(...args: string[]): Promise<string> {
    const { command, args: lead } = selfCommand();
    const child = spawn(command, [...lead, ...args], {
      env: { ...process.env, HEDDLE_LOOPBACK_MESH: LOOPBACK_MESH },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err += text;
    });
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code !== 0) throw new Error(`heddle ${args[0]} ended with ${code}: ${err}${out}`);
    return out;
  }
}
