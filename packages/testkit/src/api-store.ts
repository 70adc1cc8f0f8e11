import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Apiserver, type ApiserverOptions, startApiserver } from "@heddle/apiserver/server";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";

/** The embedded API server on a folder of its own, and an administrator's client of it. */
export class ApiStore implements AsyncDisposable {
  readonly server: Apiserver;
  readonly client: KubeClient;
  readonly folder: string;

  private constructor(server: Apiserver, client: KubeClient, folder: string) {
    this.server = server;
    this.client = client;
    this.folder = folder;
  }

  static async start(options: Omit<ApiserverOptions, "dataDir"> = {}): Promise<ApiStore> {
    const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
    const server = await startApiserver({ ...options, dataDir: folder });
    const cluster = loadKubeconfig({ paths: [join(folder, "admin.kubeconfig")] });
    return new ApiStore(server, new KubeClient({ cluster }), folder);
  }

  /** A client that sees and does what a control plane may. */
  controlClient(): KubeClient {
    const cluster = loadKubeconfig({ paths: [join(this.folder, "control.kubeconfig")] });
    return new KubeClient({ cluster });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
