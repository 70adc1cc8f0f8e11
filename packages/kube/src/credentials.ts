import { readFile } from "node:fs/promises";
import { MeshError } from "@heddle/base/errors";

/** What one request proves itself with. Certificates given here replace those of the connection. */
export interface Proof {
  readonly authorization?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Credentials {
  current(): Promise<Proof>;
  /** The server refused the proof: forget what is cached. */
  refused(): void;
}

export const NO_CREDENTIALS: Credentials = { current: async () => ({}), refused: () => {} };

export function fixedCredentials(authorization: string): Credentials {
  return { current: async () => ({ authorization }), refused: () => {} };
}

/** How long a token file is trusted before it is read again; kubelet replaces it ahead of time. */
const TOKEN_FILE_TTL_MS = 60_000;

/** A bearer token in a file that somebody else renews. */
export class TokenFile implements Credentials {
  readonly #path: string;
  readonly #nowMs: () => number;
  #token: string | undefined;
  #readAtMs = 0;

  constructor(path: string, nowMs: () => number = () => performance.now()) {
    this.#path = path;
    this.#nowMs = nowMs;
  }

  async current(): Promise<Proof> {
    if (this.#token === undefined || this.#nowMs() - this.#readAtMs > TOKEN_FILE_TTL_MS) {
      try {
        this.#token = (await readFile(this.#path, "utf8")).trim();
        this.#readAtMs = this.#nowMs();
      } catch (cause) {
        // An older token may still be good; without one there is nothing to send.
        if (this.#token === undefined) {
          const message = `Cannot read token file ${this.#path}: it is not readable`;
          throw new MeshError("kube_credentials", "self", message, { cause });
        }
      }
    }
    return { authorization: `Bearer ${this.#token}` };
  }

  refused(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }
}

/**
 * Exec plugins and OIDC, by way of @kubernetes/client-node, which is loaded at first use only: it
 * costs half a second and 80 MB.
 */
export class PluginCredentials implements Credentials {
  readonly #kubeconfig: string;
  readonly #context: string;
  #config: Promise<{ applyToHTTPSOptions(options: object): Promise<void> }> | undefined;

  /** @param kubeconfig - The whole file's text. */
  constructor(kubeconfig: string, context: string) {
    this.#kubeconfig = kubeconfig;
    this.#context = context;
  }

  async current(): Promise<Proof> {
    this.#config ??= this.#load();
    const options: { headers?: Record<string, string>; cert?: unknown; key?: unknown } = {};
    try {
      await (await this.#config).applyToHTTPSOptions(options);
    } catch (cause) {
      this.#config = undefined;
      const message = `Cannot get credentials of context ${this.#context}: its plugin failed`;
      throw new MeshError("kube_credentials", "self", message, { cause });
    }
    const authorization = options.headers?.["Authorization"];
    return {
      ...(authorization === undefined ? {} : { authorization }),
      ...(options.cert === undefined ? {} : { cert: String(options.cert) }),
      ...(options.key === undefined ? {} : { key: String(options.key) }),
    };
  }

  refused(): void {
    this.#config = undefined;
  }

  async #load(): Promise<{ applyToHTTPSOptions(options: object): Promise<void> }> {
    const { KubeConfig } = await import("@kubernetes/client-node");
    const config = new KubeConfig();
    config.loadFromString(this.#kubeconfig);
    config.setCurrentContext(this.#context);
    return config;
  }
}
