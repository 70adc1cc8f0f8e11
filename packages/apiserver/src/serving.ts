import { renameSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { Authenticator } from "./auth/authenticator.ts";
import type { Authorizer } from "./auth/authorizer.ts";
import { kubeconfig } from "./auth/kubeconfig.ts";
import { type Vault, writeDurably } from "./auth/vault.ts";
import { Listener } from "./http/listener.ts";
import type { Router } from "./http/router.ts";

export interface ServingOptions {
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  /** Further names and addresses for the certificate. */
  readonly names: readonly string[];
  readonly vault: Vault;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly router: Router;
  readonly clock: Clock;
  readonly log: Log;
  /** Runs when there are new authorities that clients should trust. */
  readonly onAuthorities: () => void;
}

/** Names by which pods and tools know an API server. */
const WELL_KNOWN_NAMES: readonly string[] = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "localhost",
  "127.0.0.1",
];

const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

/** How often it is looked whether certificates are due. */
const ROTATION_MS = 3_600_000;

/** The open port, its certificate, and the files with which clients find both. */
export class Serving {
  readonly #options: ServingOptions;
  readonly #names: readonly string[];
  readonly #listener: Listener;
  readonly #rotation: NodeJS.Timeout;
  #renewAtMs: number;

  static async start(options: ServingOptions): Promise<Serving> {
    const { host, port, vault, authenticator, authorizer, router, log } = options;
    const all = new Set([...WELL_KNOWN_NAMES, host, ...options.names]);
    const names = [...all].filter((name) => !WILDCARDS.includes(name));
    const leaf = await vault.issueServer(names);
    const tls = { ...leaf, caPem: vault.bundlePem };
    const common = { host, port, tls, log };
    const listener = await Listener.start({ ...common, authenticator, authorizer, router });
    const serving = new Serving(options, names, listener, leaf.renewAtMs);
    serving.#writeFiles();
    return serving;
  }

  private constructor(
    options: ServingOptions,
    names: readonly string[],
    listener: Listener,
    renewAtMs: number,
  ) {
    this.#options = options;
    this.#names = names;
    this.#listener = listener;
    this.#renewAtMs = renewAtMs;
    this.#rotation = setInterval(() => {
      this.#renew().catch((error: unknown) => {
        options.log.error("certificates could not be renewed", { error });
      });
    }, ROTATION_MS);
    this.#rotation.unref();
  }

  /** Host and port as clients use them. */
  get address(): string {
    const { host, names } = this.#options;
    const shown = WILDCARDS.includes(host) ? (names[0] ?? "127.0.0.1") : host;
    return `${shown.includes(":") ? `[${shown}]` : shown}:${this.#listener.port}`;
  }

  get adminKubeconfig(): string {
    return this.#kubeconfig("admin", this.#options.vault.adminToken);
  }

  get controlKubeconfig(): string {
    return this.#kubeconfig("control", this.#options.vault.controlToken);
  }

  async close(graceMs: number): Promise<void> {
    clearInterval(this.#rotation);
    await this.#listener.close(graceMs);
  }

  #kubeconfig(user: string, token: string): string {
    const caPem = this.#options.vault.bundlePem;
    return kubeconfig({ url: `https://${this.address}`, caPem, user, token });
  }

  #writeFiles(): void {
    const { dataDir, vault } = this.#options;
    writeAtomically(join(dataDir, "admin.kubeconfig"), this.adminKubeconfig);
    writeAtomically(join(dataDir, "control.kubeconfig"), this.controlKubeconfig);
    writeAtomically(join(dataDir, "ca.crt"), vault.bundlePem);
  }

  async #renew(): Promise<void> {
    const { vault, clock, log, onAuthorities } = this.#options;
    const hasChanged = await vault.rotate();
    if (hasChanged) {
      this.#writeFiles();
      onAuthorities();
    }
    if (!hasChanged && clock.wallMs() < this.#renewAtMs) return;
    const leaf = await vault.issueServer(this.#names);
    this.#renewAtMs = leaf.renewAtMs;
    this.#listener.setTls({ ...leaf, caPem: vault.bundlePem });
    log.info("serving certificate renewed", { authorities: hasChanged });
  }
}

function writeAtomically(path: string, text: string): void {
  writeDurably(`${path}.next`, text);
  renameSync(`${path}.next`, path);
}
