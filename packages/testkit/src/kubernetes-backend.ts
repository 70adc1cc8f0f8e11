import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import type { StoreBackend, StoreOptions, TokenOptions } from "./api-store.ts";
import { emptyKubernetes } from "./etcd.ts";
import { Relay } from "./relay.ts";

interface ServiceCidr extends KubeObject {
  readonly spec: { readonly cidrs: readonly string[] };
}

const SERVICE_CIDRS: Resource<ServiceCidr> = {
  group: "networking.k8s.io",
  version: "v1",
  plural: "servicecidrs",
  kind: "ServiceCIDR",
  isNamespaced: false,
};

/**
 * A real Kubernetes API that runs already, emptied for this store. Between it and the clients lies a
 * relay, so that the server can be away for one store without being restarted.
 */
export class KubernetesBackend implements StoreBackend {
  readonly folder: string;
  readonly adminKubeconfig: string;
  readonly #relay: Relay;

  private constructor(folder: string, relay: Relay) {
    this.folder = folder;
    this.adminKubeconfig = join(folder, "admin.kubeconfig");
    this.#relay = relay;
  }

  /** @param running - The folder that `e2e/kube/api-server.ts` made. */
  static async start(running: string, options: StoreOptions): Promise<KubernetesBackend> {
    await emptyKubernetes(readFileSync(join(running, "etcd.url"), "utf8").trim());
    const original = readFileSync(join(running, "pki", "admin.kubeconfig"), "utf8");
    const cluster = loadKubeconfig({ paths: [join(running, "pki", "admin.kubeconfig")] });
    if (options.serviceCidr !== undefined) await addServiceCidr(cluster, options.serviceCidr);
    const relay = await Relay.start(Number(cluster.server.port));
    const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
    const text = original.replace(cluster.server.origin, `https://127.0.0.1:${relay.port}`);
    writeFileSync(join(folder, "admin.kubeconfig"), text, { mode: 0o600 });
    return new KubernetesBackend(folder, relay);
  }

  get controlKubeconfig(): string {
    return this.adminKubeconfig;
  }

  async issueToken(namespace: string, account: string, options: TokenOptions): Promise<string> {
    using client = new KubeClient({ cluster: loadKubeconfig({ paths: [this.adminKubeconfig] }) });
    return await requestToken(client, { namespace, name: account }, options.audiences ?? []);
  }

  async stop(): Promise<void> {
    await this.#relay.close();
  }

  async restart(): Promise<void> {
    await this.#relay.open();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function addServiceCidr(
  cluster: ReturnType<typeof loadKubeconfig>,
  cidr: string,
): Promise<void> {
  using client = new KubeClient({ cluster });
  try {
    const name = `test-${cidr.replaceAll(/[^0-9a-f]/g, "-")}`;
    await client.create(SERVICE_CIDRS, { metadata: { name }, spec: { cidrs: [cidr] } });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}
