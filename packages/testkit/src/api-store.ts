import type { ApiserverOptions } from "@heddle/apiserver/server";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { EmbeddedBackend } from "./embedded-backend.ts";
import { KubernetesBackend } from "./kubernetes-backend.ts";

export type StoreOptions = Omit<ApiserverOptions, "dataDir">;

export interface TokenOptions {
  /** Default: the API server itself. */
  readonly audiences?: readonly string[];
}

/** The server behind a store. */
export interface StoreBackend {
  /** Of this store alone, for whatever a test wants to write down. */
  readonly folder: string;
  readonly adminKubeconfig: string;
  readonly controlKubeconfig: string;
  issueToken(namespace: string, account: string, options: TokenOptions): Promise<string>;
  stop(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Names the folder of a running Kubernetes API that stores shall use, one after the other. */
export const KUBERNETES_FOLDER = "HEDDLE_TEST_KUBERNETES";

/**
 * An API server that nobody else uses meanwhile, empty but for what every cluster has: the embedded
 * one, or, where `HEDDLE_TEST_KUBERNETES` names it, a real one. Tests cannot tell which.
 */
export class ApiStore implements AsyncDisposable {
  /** An administrator's. */
  readonly client: KubeClient;
  readonly #backend: StoreBackend;

  private constructor(backend: StoreBackend) {
    this.#backend = backend;
    this.client = newClient(backend.adminKubeconfig);
  }

  static async start(options: StoreOptions = {}): Promise<ApiStore> {
    const folder = process.env[KUBERNETES_FOLDER] ?? "";
    if (folder === "") return new ApiStore(await EmbeddedBackend.start(options));
    return new ApiStore(await KubernetesBackend.start(folder, options));
  }

  get folder(): string {
    return this.#backend.folder;
  }

  /** A client that sees and does what a control plane may. */
  controlClient(): KubeClient {
    return newClient(this.#backend.controlKubeconfig);
  }

  /** A token of a service account that exists. */
  issueToken(namespace: string, account: string, options: TokenOptions = {}): Promise<string> {
    return this.#backend.issueToken(namespace, account, options);
  }

  /** Nothing answers at its address until `restart`. */
  async stop(): Promise<void> {
    await this.#backend.stop();
  }

  /** The same data at the same address, after `stop`. */
  async restart(): Promise<void> {
    await this.#backend.restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#backend.close();
  }
}

function newClient(kubeconfig: string): KubeClient {
  return new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfig] }) });
}
