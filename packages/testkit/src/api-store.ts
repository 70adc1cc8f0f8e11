import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Apiserver, startApiserver } from "@heddle/apiserver/server";
import { KubeClient } from "@heddle/kube/client";
import { parseKubeconfig } from "@heddle/kube/kubeconfig";

/** An embedded API server of its own for one test, with a client that may do everything. */
export class ApiStore implements AsyncDisposable {
  readonly folder: string;
  readonly server: Apiserver;
  readonly client: KubeClient;
  readonly #clients: KubeClient[] = [];

  private constructor(folder: string, server: Apiserver) {
    this.folder = folder;
    this.server = server;
    this.client = this.newClient(server.adminKubeconfig());
  }

  static async start(): Promise<ApiStore> {
    const folder = mkdtempSync(join(tmpdir(), "heddle-store-"));
    return new ApiStore(folder, await startApiserver({ dataDir: folder }));
  }

  /** A client by a kubeconfig's text; closed with the store. */
  newClient(kubeconfig: string): KubeClient {
    const client = new KubeClient({ cluster: parseKubeconfig(kubeconfig, this.folder) });
    this.#clients.push(client);
    return client;
  }

  /** As the control plane has it. */
  controlClient(): KubeClient {
    return this.newClient(this.server.controlKubeconfig());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.close(0);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
