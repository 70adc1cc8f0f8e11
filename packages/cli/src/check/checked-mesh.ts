import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { CONFIG_MAPS, type ConfigMap } from "@heddle/kube/types/core";
import {
  type IdentityMaterial,
  type IdentitySource,
  loadIdentityMaterial,
  loadTrustAnchors,
} from "./identity.ts";
import { type MeshConfig, readMeshConfig } from "./mesh-config.ts";
import { CHECKED_PODS, type CheckedPod, COMPONENT, CONTROL_PLANE_NS } from "./resources.ts";
import { type LatestVersions, latestVersions } from "./versions.ts";

export interface CheckOptions {
  readonly controlNamespace: string;
  readonly cniNamespace: string;
  /** Of the data plane; undefined for all namespaces. */
  readonly dataNamespace: string | undefined;
  readonly cliVersion: string;
  /** What counts as the latest version; undefined to ask `versionUrl`. */
  readonly expectedVersion: string | undefined;
  /** Who knows the latest versions; undefined for nobody. */
  readonly versionUrl: string | undefined;
  /** Before installation, when no `linkerd-config` says whether the CNI plugin is used. */
  readonly isCniExpected: boolean;
  readonly isPreInstall: boolean;
  /** The manifests that `install` would print. */
  readonly manifests: () => Promise<readonly object[]>;
}

/**
 * The mesh that is checked. What one check has read and others need is kept; the state of pods is
 * not, since checks wait for it to change.
 */
export class CheckedMesh implements Disposable {
  readonly options: CheckOptions;
  readonly clock: Clock;
  readonly #open: () => KubeClient;
  #client: KubeClient | undefined;
  #config: MeshConfig | undefined;
  #identity: IdentityMaterial | undefined;
  #anchorsPem: string | undefined;
  #latest: Promise<LatestVersions | undefined> | undefined;

  /** @param open - Throws if it is not known where the API is. */
  constructor(options: CheckOptions, clock: Clock, open: () => KubeClient) {
    this.options = options;
    this.clock = clock;
    this.#open = open;
  }

  get client(): KubeClient {
    this.#client ??= this.#open();
    return this.#client;
  }

  async config(signal: AbortSignal): Promise<MeshConfig> {
    this.#config ??= readMeshConfig(await this.#configMap("linkerd-config", signal));
    return this.#config;
  }

  /** The issuer and the anchors, parsed but not judged. */
  async identity(signal: AbortSignal): Promise<IdentityMaterial> {
    this.#identity ??= await loadIdentityMaterial(await this.#identitySource(signal), signal);
    return this.#identity;
  }

  /** The text of the anchors that proxies must have. */
  async anchorsPem(signal: AbortSignal): Promise<string> {
    this.#anchorsPem ??= await loadTrustAnchors(await this.#identitySource(signal), signal);
    return this.#anchorsPem;
  }

  /** Undefined if nobody is to be asked. */
  async latest(signal: AbortSignal): Promise<LatestVersions | undefined> {
    const { expectedVersion, versionUrl, cliVersion } = this.options;
    // Before installation there is no identity to ask with.
    const uuid = this.#config?.uid ?? "unknown";
    // Asked once, also where nobody answers: several checks want to know.
    this.#latest ??= latestVersions({
      expectedVersion,
      versionUrl,
      cliVersion,
      uuid,
      signal,
    });
    return await this.#latest;
  }

  /** Whether pods are set up by the CNI plugin. */
  async usesCni(signal: AbortSignal): Promise<boolean> {
    if (this.options.isPreInstall) return this.options.isCniExpected;
    return (await this.config(signal)).isCniEnabled;
  }

  /** The control plane's own pods, foreign ones with its labels among them. */
  async controlPods(signal: AbortSignal): Promise<readonly CheckedPod[]> {
    const { controlNamespace: namespace } = this.options;
    const { items } = await this.client.list(CHECKED_PODS, {
      namespace,
      labelSelector: COMPONENT,
      signal,
    });
    return items;
  }

  /** Pods with a proxy of this mesh. */
  async meshedPods(
    namespace: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly CheckedPod[]> {
    const labelSelector = `${CONTROL_PLANE_NS}=${this.options.controlNamespace}`;
    const { items } = await this.client.list(CHECKED_PODS, { namespace, labelSelector, signal });
    return items;
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }

  async #identitySource(signal: AbortSignal): Promise<IdentitySource> {
    const { scheme } = await this.config(signal);
    return { client: this.client, namespace: this.options.controlNamespace, scheme };
  }

  async #configMap(name: string, signal: AbortSignal): Promise<ConfigMap> {
    const namespace = this.options.controlNamespace;
    const found = await this.client.find(CONFIG_MAPS, { name, namespace }, { signal });
    if (found !== undefined) return found;
    const message = `Cannot find ConfigMap ${namespace}/${name}: no control plane is installed there`;
    throw new MeshError("no_config", "control", message);
  }
}
