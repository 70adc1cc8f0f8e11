import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Apiserver, type ApiserverOptions, startApiserver } from "@heddle/apiserver/server";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";

type Options = Omit<ApiserverOptions, "dataDir">;

/** The embedded API server on a folder of its own, and an administrator's client of it. */
export class ApiStore implements AsyncDisposable {
  readonly client: KubeClient;
  readonly folder: string;
  readonly #options: Options;
  #server: Apiserver;

  private constructor(server: Apiserver, client: KubeClient, folder: string, options: Options) {
    this.#server = server;
    this.client = client;
    this.folder = folder;
    this.#options = options;
  }

  static async start(options: Options = {}): Promise<ApiStore> {
    const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
    const server = await startApiserver({ ...options, dataDir: folder });
    const cluster = loadKubeconfig({ paths: [join(folder, "admin.kubeconfig")] });
    return new ApiStore(server, new KubeClient({ cluster }), folder, options);
  }

  get server(): Apiserver {
    return this.#server;
  }

  /** A client that sees and does what a control plane may. */
  controlClient(): KubeClient {
    const cluster = loadKubeconfig({ paths: [join(this.folder, "control.kubeconfig")] });
    return new KubeClient({ cluster });
  }

  /** Ends the server; nothing answers at its address until `restart`. */
  async stop(): Promise<void> {
    await this.#server.close(0);
  }

  /** The same data at the same address, after `stop`. */
  async restart(): Promise<void> {
    const port = Number(new URL(this.#server.url).port);
    this.#server = await startApiserver({ ...this.#options, port, dataDir: this.folder });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
