import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Apiserver, startApiserver } from "@heddle/apiserver/server";
import type { StoreBackend, StoreOptions, TokenOptions } from "./api-store.ts";

/** The embedded API server on a folder of its own. */
export class EmbeddedBackend implements StoreBackend {
  readonly folder: string;
  readonly #options: StoreOptions;
  #server: Apiserver;

  private constructor(server: Apiserver, folder: string, options: StoreOptions) {
    this.#server = server;
    this.folder = folder;
    this.#options = options;
  }

  static async start(options: StoreOptions): Promise<EmbeddedBackend> {
    const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
    const server = await startApiserver({ ...options, dataDir: folder });
    return new EmbeddedBackend(server, folder, options);
  }

  get adminKubeconfig(): string {
    return join(this.folder, "admin.kubeconfig");
  }

  get controlKubeconfig(): string {
    return join(this.folder, "control.kubeconfig");
  }

  async issueToken(namespace: string, account: string, options: TokenOptions): Promise<string> {
    return this.#server.issueToken(namespace, account, options);
  }

  async stop(): Promise<void> {
    await this.#server.close(0);
  }

  async restart(): Promise<void> {
    const port = Number(new URL(this.#server.url).port);
    this.#server = await startApiserver({ ...this.#options, port, dataDir: this.folder });
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
