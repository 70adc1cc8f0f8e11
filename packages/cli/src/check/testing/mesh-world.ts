import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@heddle/base/clock";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { CONFIG_MAPS, NAMESPACES, SECRETS, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  MUTATING_WEBHOOKS,
  VALIDATING_WEBHOOKS,
  type WebhookConfiguration,
} from "@heddle/kube/types/webhooks";
import { stringify } from "yaml";
import { runInProcess } from "../../testing/run.ts";
import type { CheckResult } from "../check.ts";
import {
  CHECKED_DEPLOYMENTS,
  CHECKED_PODS,
  type CheckedPod,
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
} from "../resources.ts";

const DAY_MS = 86_400_000;
const LABELS = { "linkerd.io/control-plane-ns": "linkerd" };
export const VERSION = "edge-26.6.3";

type Trust = import("@heddle/control/identity/bootstrap").Trust;

/** An API server of the test's own: `ApiStore` of the test kit. */
interface Store extends AsyncDisposable {
  readonly client: KubeClient;
  readonly folder: string;
}

/** `TestCa` of the test kit. */
interface Authority {
  readonly pem: string;
  leaf(options: {
    readonly sans: readonly { readonly dns: string }[];
    readonly notBefore?: Date;
    readonly notAfter: Date;
  }): Promise<{ readonly pem: string; readonly keyPem: string }>;
}

export interface CheckRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Of a run with `-o json`, in their order. */
  readonly results: readonly CheckResult[];
  /** The one of this description. */
  of(description: string): CheckResult | undefined;
  /** What is not a success, as `description: error`. */
  readonly problems: readonly string[];
}

/**
 * An API server with a whole mesh in it, as an installation with all its parts would look, and
 * nothing wrong. Nobody runs its pods: their status is what we write.
 */
export class MeshWorld implements AsyncDisposable {
  readonly client: KubeClient;
  readonly trust: Trust;
  /** Signs what the webhooks serve with. */
  readonly webhookCa: Authority;
  readonly #store: Store;
  readonly #bin: string;

  private constructor(store: Store, trust: Trust, webhookCa: Authority) {
    this.#store = store;
    this.client = store.client;
    this.trust = trust;
    this.webhookCa = webhookCa;
    this.#bin = mkdtempSync(join(tmpdir(), "heddle-check-"));
  }

  /** @param values - Of `linkerd-config`. */
  static async start(store: Store, webhookCa: Authority, values: object = {}): Promise<MeshWorld> {
    const { installDefinitions } = await import("@heddle/control/crds/install");
    const { createTrust, installTrust } = await import("@heddle/control/identity/bootstrap");
    const trust = await createTrust({
      controlNamespace: "linkerd",
      trustDomain: "cluster.local",
      clock: systemClock,
    });
    await using parts = new AsyncDisposableStack();
    const world = parts.use(new MeshWorld(store, trust, webhookCa));
    await installDefinitions(store.client);
    await installTrust(store.client, "linkerd", trust);
    await world.configure(values);
    await world.#installAccounts();
    await world.#installWebhooks();
    await world.#installPods();
    parts.move();
    return world;
  }

  /** An API server with nothing in it. */
  static empty(store: Store, webhookCa: Authority): MeshWorld {
    const trust = { anchorsPem: "", anchorKeyPem: "", issuerPem: "", issuerKeyPem: "" };
    return new MeshWorld(store, trust, webhookCa);
  }

  /** The folder that is the whole path of commands. */
  get bin(): string {
    return this.#bin;
  }

  get kubeconfig(): string {
    return join(this.#store.folder, "admin.kubeconfig");
  }

  /** `heddle check -o json`, without waiting for anything to come right. */
  async check(...args: readonly string[]): Promise<CheckRun> {
    const { code, out, err } = await this.run("-o", "json", ...args);
    const documents = out === "" ? [] : out.split(/(?<=^\})\n/m).map((one) => JSON.parse(one));
    const results: CheckResult[] = [];
    for (const { categories } of documents) {
      for (const { categoryName, checks } of categories) {
        for (const check of checks) results.push({ category: categoryName, ...check });
      }
    }
    const problems = results
      .filter(({ result }) => result !== "success")
      .map(({ description, error }) => `${description}: ${error}`);
    const of = (wanted: string): CheckResult | undefined =>
      results.find(({ description }) => description === wanted);
    return { code, out, err, results, problems, of };
  }

  async run(...args: readonly string[]): Promise<Omit<CheckRun, "results" | "problems" | "of">> {
    const options = ["--kubeconfig", this.kubeconfig, "--wait", "0s"];
    const version = ["--cli-version-override", VERSION];
    return await runInProcess(["check", ...options, ...version, ...args], { PATH: this.#bin });
  }

  /** Replaces the values that `linkerd-config` holds. */
  async configure(values: object): Promise<void> {
    const all = { linkerdVersion: VERSION, ...values };
    await this.put(CONFIG_MAPS, {
      metadata: { name: "linkerd-config", namespace: "linkerd", labels: LABELS },
      data: { values: stringify(all) },
    });
  }

  /** A namespace in which pods can be made at once: its account is not waited for. */
  async namespace(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.client.create(NAMESPACES, { metadata: { name, labels } });
    await this.#account(name, "default");
  }

  async #account(namespace: string, name: string): Promise<void> {
    try {
      await this.client.create(SERVICE_ACCOUNTS, { metadata: { name, namespace, labels: LABELS } });
    } catch (error) {
      // Whoever makes it for every namespace was faster.
      if (!hasReason(error, "AlreadyExists")) throw error;
    }
  }

  /** Creates the object, or replaces what is there, with its status. */
  async put<T extends KubeObject>(of: Resource<T>, object: NoInfer<T>): Promise<T> {
    const { name = "", namespace } = object.metadata;
    await this.client.delete(of, { name, namespace }, { gracePeriodSeconds: 0 });
    const made = await this.client.create(of, object);
    if (!("status" in object)) return made;
    const { status } = object;
    return await this.client.update(of, { ...made, status }, { subresource: "status" });
  }

  /** A pod with a proxy, ready unless `over` says otherwise. */
  async putPod(namespace: string, name: string, over: PodOverrides = {}): Promise<CheckedPod> {
    const { labels, annotations, anchors = this.trust.anchorsPem, status, ports } = over;
    const variable = "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS";
    const ref = { name: "linkerd-identity-trust-roots", key: "ca-bundle.crt" };
    // The control plane's own proxies follow the ConfigMap, others are given its text.
    const isFollowing = namespace === "linkerd" && over.anchors === undefined;
    const valueFrom = { configMapKeyRef: ref };
    const env = [isFollowing ? { name: variable, valueFrom } : { name: variable, value: anchors }];
    return await this.put(CHECKED_PODS, {
      metadata: {
        name,
        namespace,
        labels: { ...LABELS, ...labels },
        annotations: { "linkerd.io/proxy-version": VERSION, ...annotations },
      },
      spec: {
        initContainers: [
          { name: "linkerd-proxy", image: "proxy:1", restartPolicy: "Always", env } as never,
        ],
        containers: [{ name: "app", image: "app:1", ports: ports ?? [] }],
      },
      status: status ?? readyStatus("10.1.2.3"),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#bin, { recursive: true, force: true });
    await this.#store[Symbol.asyncDispose]();
  }

  async #installAccounts(): Promise<void> {
    await this.#account("linkerd", "default");
    for (const part of ["destination", "identity", "proxy-injector", "heartbeat"]) {
      await this.#account("linkerd", `linkerd-${part}`);
    }
    for (const part of ["identity", "proxy-injector"]) {
      const name = `linkerd-linkerd-${part}`;
      const metadata = { name, labels: LABELS };
      // A store that is emptied for us keeps its roles.
      await this.put(CLUSTER_ROLES, { metadata });
      await this.put(CLUSTER_ROLE_BINDINGS, {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      } as KubeObject);
    }
  }

  async #installWebhooks(): Promise<void> {
    await this.putWebhook("linkerd-proxy-injector", MUTATING_WEBHOOKS);
    await this.putWebhook("linkerd-sp-validator", VALIDATING_WEBHOOKS);
    await this.putWebhook("linkerd-policy-validator", VALIDATING_WEBHOOKS);
  }

  /** A webhook that is never called, since nothing has the label that it asks for. */
  async putWebhook(
    name: string,
    of: Resource<WebhookConfiguration>,
    over: { readonly host?: string; readonly days?: number; readonly ca?: Authority } = {},
  ): Promise<void> {
    const { host = `${name}.linkerd.svc`, days = 365, ca = this.webhookCa } = over;
    const notAfter = new Date(Date.now() + days * DAY_MS);
    const { pem, keyPem } = await ca.leaf({ sans: [{ dns: host }], notAfter });
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    await this.put(SECRETS, {
      metadata: { name: `${name}-k8s-tls`, namespace: "linkerd" },
      type: "kubernetes.io/tls",
      data: { "tls.crt": base64(pem), "tls.key": base64(keyPem) },
    });
    await this.put(of, {
      metadata: { name: `${name}-webhook-config`, labels: LABELS },
      webhooks: [
        {
          name: `${name}.linkerd.io`,
          clientConfig: {
            caBundle: base64(this.webhookCa.pem),
            service: { namespace: "linkerd", name },
          },
          rules: [
            { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
          ],
          failurePolicy: "Ignore",
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          objectSelector: { matchLabels: { nothing: "has-this" } },
        },
      ],
    });
  }

  async #installPods(): Promise<void> {
    for (const part of ["destination", "identity", "proxy-injector"]) {
      const labels = { ...LABELS, "linkerd.io/control-plane-component": part };
      const matchLabels = { "linkerd.io/control-plane-component": part };
      const container = { name: part, image: "control:1" };
      await this.put(CHECKED_DEPLOYMENTS, {
        metadata: {
          name: `linkerd-${part}`,
          namespace: "linkerd",
          labels,
          annotations: { "linkerd.io/created-by": `heddle/cli ${VERSION}` },
        },
        spec: {
          selector: { matchLabels },
          template: { metadata: { labels }, spec: { containers: [container] } },
        },
        status: { replicas: 1, readyReplicas: 1, availableReplicas: 1 },
      } as never);
      await this.putPod("linkerd", `linkerd-${part}-6d5f8b7c9-abcde`, { labels });
    }
  }
}

export interface PodOverrides {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Which the proxy was given. */
  readonly anchors?: string;
  readonly status?: NonNullable<CheckedPod["status"]>;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
}

/** Of a pod whose proxy and application run. */
export function readyStatus(podIP: string): NonNullable<CheckedPod["status"]> {
  const running = { ready: true, started: true, state: { running: {} } };
  return {
    phase: "Running",
    podIP,
    initContainerStatuses: [{ name: "linkerd-proxy", ...running }],
    containerStatuses: [{ name: "app", ...running }],
  };
}
