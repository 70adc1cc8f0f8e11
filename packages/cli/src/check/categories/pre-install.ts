import { MeshError, messageOf } from "@heddle/base/errors";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import { type Category, type Check, failed, failedFor, PASSED } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";
import { ACCESS_REVIEWS, CHECKED_NODES } from "../resources.ts";

/** TLS takes so much difference of clocks; nodes report every five minutes at least. */
const ALLOWED_SKEW_MS = 10_000;
const HEARTBEAT_MS = 5 * 60_000;

export const PRE_INSTALL: Category = {
  name: "pre-kubernetes-setup",
  checks: [
    {
      description: "control plane namespace does not already exist",
      anchor: "pre-ns",
      async run(mesh, signal) {
        const { controlNamespace: name } = mesh.options;
        const found = await mesh.client.find(NAMESPACES, { name }, { signal });
        return found === undefined ? PASSED : failed(`the namespace "${name}" is there already`);
      },
    },
    {
      description: "can create non-namespaced resources",
      anchor: "pre-k8s-cluster-k8s",
      run: tryClusterObjects,
    },
    mayCreate("ServiceAccounts", "", "v1", "serviceaccounts"),
    mayCreate("Services", "", "v1", "services"),
    mayCreate("Deployments", "apps", "v1", "deployments"),
    mayCreate("CronJobs", "batch", "v1", "cronjobs"),
    mayCreate("ConfigMaps", "", "v1", "configmaps"),
    mayCreate("Secrets", "", "v1", "secrets"),
    may("can read Secrets", "get", "", "v1", "secrets"),
    {
      description: "can read extension-apiserver-authentication configmap",
      anchor: "pre-k8s",
      async run(mesh, signal) {
        const ref = { name: "extension-apiserver-authentication", namespace: "kube-system" };
        const { data } = await mesh.client.get(CONFIG_MAPS, ref, { signal });
        const key = "requestheader-client-ca-file";
        if ((data?.[key] ?? "") !== "") return PASSED;
        return failed(
          `ConfigMap ${ref.namespace}/${ref.name} has no ${key}: the API server runs without an aggregation layer`,
        );
      },
    },
    {
      description: "no clock skew detected",
      anchor: "pre-k8s-clock-skew",
      isWarning: true,
      run: compareClocks,
    },
  ],
};

function mayCreate(kinds: string, group: string, version: string, plural: string): Check {
  return may(`can create ${kinds}`, "create", group, version, plural);
}

function may(
  description: string,
  verb: string,
  group: string,
  version: string,
  plural: string,
): Check {
  return {
    description,
    anchor: "pre-k8s",
    async run(mesh, signal) {
      const { controlNamespace: namespace } = mesh.options;
      const resourceAttributes = { namespace, verb, group, version, resource: plural };
      const review = { metadata: {}, spec: { resourceAttributes } };
      const { status } = await mesh.client.create(ACCESS_REVIEWS, review, { signal });
      if (status?.allowed === true) return PASSED;
      const why = (status?.reason ?? "") === "" ? "" : `: ${status?.reason}`;
      return failed(`missing permission to ${verb} ${plural} in namespace ${namespace}${why}`);
    },
  };
}

/** Has the server judge, without keeping it, whatever `install` prints that has no namespace. */
async function tryClusterObjects(mesh: CheckedMesh, signal: AbortSignal): ReturnType<Check["run"]> {
  const problems: string[] = [];
  const kinds = new ServedKinds(mesh, signal);
  for (const object of (await mesh.options.manifests()) as readonly KubeObject[]) {
    if (object.metadata.namespace !== undefined) continue;
    const { kind = "", apiVersion = "", metadata } = object;
    try {
      const of = await kinds.find(apiVersion, kind);
      if (of?.isNamespaced === true) continue;
      if (of === undefined) problems.push(`${kind} ${metadata.name}: ${apiVersion} is not served`);
      else await mesh.client.create(of, object, { dryRun: true, signal });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      problems.push(`${kind} ${metadata.name}: ${messageOf(error)}`);
    }
  }
  return failedFor("these cannot be created", problems);
}

interface ServedResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Kinds by what the server says of them, each group asked for once. */
class ServedKinds {
  readonly #mesh: CheckedMesh;
  readonly #signal: AbortSignal;
  readonly #groups = new Map<string, readonly ServedResource[]>();

  constructor(mesh: CheckedMesh, signal: AbortSignal) {
    this.#mesh = mesh;
    this.#signal = signal;
  }

  async find(apiVersion: string, kind: string): Promise<Resource<KubeObject> | undefined> {
    const served = this.#groups.get(apiVersion) ?? (await this.#load(apiVersion));
    this.#groups.set(apiVersion, served);
    // Names with a slash are subresources.
    const found = served.find((one) => one.kind === kind && !one.name.includes("/"));
    if (found === undefined) return undefined;
    const scope = found.namespaced ? "Namespaced" : "Cluster";
    return resource(apiVersion, kind, found.name, scope);
  }

  async #load(apiVersion: string): Promise<readonly ServedResource[]> {
    const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const answer = await this.#mesh.client.raw<{ resources?: readonly ServedResource[] }>(
      "GET",
      path,
      { signal: this.#signal },
    );
    return answer.resources ?? [];
  }
}

async function compareClocks(mesh: CheckedMesh, signal: AbortSignal): ReturnType<Check["run"]> {
  const { items } = await mesh.client.list(CHECKED_NODES, { signal });
  const nowMs = mesh.clock.wallMs();
  const skewed: string[] = [];
  for (const { metadata, status } of items) {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    // A node that is not ready may have stopped to report, which is no matter of clocks.
    if (ready?.status !== "True" || ready.lastHeartbeatTime === undefined) continue;
    const skewMs = Math.abs(nowMs - Date.parse(ready.lastHeartbeatTime));
    if (skewMs > HEARTBEAT_MS + ALLOWED_SKEW_MS) {
      skewed.push(`${metadata.name}: ${Math.round(skewMs / 1000)} s`);
    }
  }
  return failedFor("clocks of nodes differ from this machine's", skewed);
}
