import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually } from "@heddle/cli/mesh";
import { type Control, startControl } from "@heddle/control/main";
import { controlSettings } from "@heddle/control/testing/control-host";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { CONFIG_MAPS, type Container, ENDPOINT_SLICES, SECRETS } from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import type { SocketAddress } from "@heddle/net/transport";

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;

/** An API server calls webhooks at no address of loopback. */
export const OWN_IP: string | undefined = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

interface Mounted extends Container {
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Deployment extends KubeObject {
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly Mounted[];
        readonly volumes: readonly {
          readonly name: string;
          readonly secret?: { readonly secretName: string };
          readonly configMap?: { readonly name: string };
        }[];
      };
    };
  };
}

const DEPLOYMENTS: Resource<Deployment> = resource("apps/v1", "Deployment", "deployments");

export interface InstalledOptions {
  readonly kubeconfigPath: string;
  readonly folder: string;
  readonly namespace: string;
}

/**
 * What the pods of an installed control plane would run, in this process: each container of its
 * Deployments with its own variables, mounted files and account, for want of nodes that run pods.
 */
export class InstalledControlPlane implements AsyncDisposable {
  readonly #options: InstalledOptions;
  readonly #admin: KubeClient;
  readonly #parts = new AsyncDisposableStack();
  readonly #running = new Map<string, Control>();
  /** What an account was refused, as our log tells it. */
  readonly refused: string[] = [];
  #identity: SocketAddress | undefined;

  private constructor(options: InstalledOptions) {
    this.#options = options;
    this.#admin = this.#parts.use(
      new KubeClient({ cluster: loadKubeconfig({ paths: [options.kubeconfigPath] }) }),
    );
  }

  static async start(options: InstalledOptions): Promise<InstalledControlPlane> {
    const installed = new InstalledControlPlane(options);
    try {
      for (const name of ["linkerd-identity", "linkerd-destination", "linkerd-proxy-injector"]) {
        await installed.#startDeployment(name);
      }
      await installed.#announceWebhooks();
    } catch (error) {
      await installed[Symbol.asyncDispose]();
      throw error;
    }
    return installed;
  }

  /** By container: `identity`, `destination`, `policy`, `sp-validator`, `proxy-injector`. */
  control(container: string): Control {
    return this.#running.get(container)!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }

  async #startDeployment(name: string): Promise<void> {
    const { namespace } = this.#options;
    const { spec } = await this.#admin.get(DEPLOYMENTS, { namespace, name });
    const pod = spec!.template.spec;
    const client = this.#parts.use(await this.clientOf(pod.serviceAccountName));
    for (const container of pod.containers) {
      if (container.name === "linkerd-proxy") continue;
      const files = await this.#mount(container, pod.volumes);
      await this.#startContainer(container, pod.serviceAccountName, client, files);
    }
  }

  async #startContainer(
    container: Mounted,
    account: string,
    client: KubeClient,
    files: (path: string) => string,
  ): Promise<void> {
    const { folder } = this.#options;
    const tokenFile = join(folder, `${container.name}.token`);
    writeFileSync(tokenFile, await this.#token(account, ["identity.l5d.io"]), { mode: 0o600 });
    const env = (container.env ?? []).map(({ name, value = "" }) => [name, files(value)] as const);
    const settings = controlSettings({
      HOSTNAME: container.name,
      ...Object.fromEntries(env),
      HEDDLE_CONTROL_LISTEN_IP: OWN_IP!,
      // Here machines come without a load balancer.
      HEDDLE_CONTROL_ADVERTISED_EXPANSION_ADDRS: "",
      HEDDLE_CONTROL_WEBHOOK_TLS_DIR: files("/var/run/linkerd/tls"),
      HEDDLE_CONTROL_POLICY_WEBHOOK_TLS_DIR: files("/var/run/linkerd/tls"),
      HEDDLE_CONTROL_IDENTITY_TOKEN_FILE: tokenFile,
      ...(this.#identity === undefined
        ? {}
        : { HEDDLE_CONTROL_IDENTITY_ADDR: `${this.#identity.ip}:${this.#identity.port}` }),
    });
    const write = (line: string): void => {
      if (/forbidden/i.test(line)) this.refused.push(line);
    };
    const log = Log.root({ filter: "debug", uptimeMs: () => performance.now(), write });
    const control = this.#parts.use(
      await startControl({ settings, client, log, clock: systemClock, version: "test" }),
    );
    await eventually(container.name, NEVER, async () => {
      const problem = control.problem();
      if (problem !== undefined) throw new Error([problem, ...this.refused].join("\n"));
    });
    this.#running.set(container.name, control);
    this.#identity ??= control.addresses.identity;
  }

  /** With what an account may do; the caller's to close. */
  async clientOf(account: string): Promise<KubeClient> {
    const { kubeconfigPath, folder } = this.#options;
    const config = JSON.parse(readFileSync(kubeconfigPath, "utf8"));
    config.users[0].user = { token: await this.#token(account, []) };
    const path = join(folder, `${account}.kubeconfig`);
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return new KubeClient({ cluster: loadKubeconfig({ paths: [path] }) });
  }

  #token(name: string, audiences: readonly string[]): Promise<string> {
    return requestToken(this.#admin, { namespace: this.#options.namespace, name }, audiences);
  }

  /** Writes what a container has mounted. @returns where a path of the container is here. */
  async #mount(
    { name, volumeMounts = [] }: Mounted,
    volumes: NonNullable<Deployment["spec"]>["template"]["spec"]["volumes"],
  ): Promise<(path: string) => string> {
    const { namespace, folder } = this.#options;
    const root = join(folder, "mounts", name);
    for (const { name: volume, mountPath } of volumeMounts) {
      const { secret, configMap } = volumes.find((one) => one.name === volume) ?? {};
      if (secret === undefined && configMap === undefined) continue;
      mkdirSync(join(root, mountPath), { recursive: true });
      const files: Readonly<Record<string, string | Buffer>> =
        configMap !== undefined
          ? ((await this.#admin.get(CONFIG_MAPS, { namespace, ...configMap })).data ?? {})
          : Object.fromEntries(
              Object.entries(
                (await this.#admin.get(SECRETS, { namespace, name: secret!.secretName })).data ??
                  {},
              ).map(([key, value]) => [key, Buffer.from(value, "base64")]),
            );
      for (const [key, text] of Object.entries(files)) {
        writeFileSync(join(root, mountPath, key), text, { mode: 0o600 });
      }
    }
    return (path) => (path.startsWith("/var/run/linkerd/") ? join(root, path) : path);
  }

  /** Where the Services' pods would be, for the API server that calls webhooks through them. */
  async #announceWebhooks(): Promise<void> {
    const addresses = {
      "proxy-injector": this.control("proxy-injector").addresses.webhooks!,
      "sp-validator": this.control("sp-validator").addresses.webhooks!,
      "policy-validator": this.control("policy").addresses.policyWebhook!,
    };
    for (const [name, { ip, port }] of Object.entries(addresses)) {
      const portName = name === "policy-validator" ? "policy-https" : name;
      await this.#admin.create(ENDPOINT_SLICES, {
        metadata: {
          name: `linkerd-${name}-here`,
          namespace: this.#options.namespace,
          labels: { "kubernetes.io/service-name": `linkerd-${name}` },
        },
        addressType: "IPv4",
        endpoints: [{ addresses: [ip], conditions: { ready: true } }],
        ports: [{ name: portName, port, protocol: "TCP" }],
      });
    }
  }
}
