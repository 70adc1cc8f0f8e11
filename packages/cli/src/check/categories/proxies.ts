import { NAMESPACES } from "@heddle/kube/types/core";
import { type Category, type Check, failed, failedFor, PASSED, SKIPPED } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";
import { podName, podsWithOtherAnchors, proxiesVerdict, proxyVersion } from "../pods.ts";
import type { CheckedPod } from "../resources.ts";
import { versionProblem } from "../versions.ts";
import { LABEL_CHECKS } from "./misplaced.ts";
import { OPAQUE_PORTS_CHECK } from "./opaque-ports.ts";

export const CONTROL_PLANE_PROXY: Category = {
  name: "linkerd-control-plane-proxy",
  checks: [
    {
      description: "control plane proxies are healthy",
      anchor: "l5d-cp-proxy-healthy",
      isFatal: true,
      isRetried: true,
      showsWhy: true,
      async run(mesh, signal) {
        const { controlNamespace: namespace } = mesh.options;
        const pods = await mesh.meshedPods(namespace, signal);
        const verdict = proxiesVerdict(pods, `is in namespace ${namespace}`);
        if (verdict.kind === "failed") return verdict;
        const others = podsWithOtherAnchors(pods, await mesh.anchorsPem(signal));
        return failedFor("restart these pods: they have old trust anchors", others.map(podName));
      },
    },
    areUpToDate(
      "control plane proxies are up-to-date",
      "l5d-cp-proxy-version",
      ({ options }) => options.controlNamespace,
    ),
    matchCli(
      "control plane proxies and cli versions match",
      "l5d-cp-proxy-cli-version",
      ({ options }) => options.controlNamespace,
    ),
  ],
};

export const DATA_PLANE: Category = {
  name: "linkerd-data-plane",
  checks: [
    {
      description: "data plane namespace exists",
      anchor: "l5d-data-plane-exists",
      isFatal: true,
      async run(mesh, signal) {
        const name = mesh.options.dataNamespace;
        if (name === undefined) return PASSED;
        const found = await mesh.client.find(NAMESPACES, { name }, { signal });
        return found === undefined ? failed(`the namespace "${name}" is missing`) : PASSED;
      },
    },
    {
      description: "data plane proxies are ready",
      anchor: "l5d-data-plane-ready",
      isFatal: true,
      isRetried: true,
      showsWhy: true,
      async run(mesh, signal) {
        const namespace = mesh.options.dataNamespace;
        const where = namespace === undefined ? "is there" : `is in namespace ${namespace}`;
        return proxiesVerdict(await mesh.meshedPods(namespace, signal), where);
      },
    },
    areUpToDate(
      "data plane is up-to-date",
      "l5d-data-plane-version",
      ({ options }) => options.dataNamespace,
    ),
    matchCli(
      "data plane and cli versions match",
      "l5d-data-plane-cli-version",
      ({ options }) => options.dataNamespace,
    ),
    ...LABEL_CHECKS,
    OPAQUE_PORTS_CHECK,
  ],
};

/** Undefined for all namespaces. */
type Where = (mesh: CheckedMesh) => string | undefined;

interface Versioned {
  readonly pod: CheckedPod;
  readonly version: string;
}

async function versionsOf(
  mesh: CheckedMesh,
  where: Where,
  signal: AbortSignal,
): Promise<readonly Versioned[]> {
  const found: Versioned[] = [];
  for (const pod of await mesh.meshedPods(where(mesh), signal)) {
    // What has ended keeps the version that it had, and nobody can change it.
    if (pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") continue;
    const version = proxyVersion(pod);
    if (version !== undefined) found.push({ pod, version });
  }
  return found;
}

function areUpToDate(description: string, anchor: string, where: Where): Check {
  return {
    description,
    anchor,
    isWarning: true,
    async run(mesh, signal) {
      const latest = await mesh.latest(signal);
      if (latest === undefined) return SKIPPED;
      const old: string[] = [];
      for (const { pod, version } of await versionsOf(mesh, where, signal)) {
        if (versionProblem(version, latest) === undefined) continue;
        old.push(`${pod.metadata.name} (${version})`);
      }
      return failedFor("some proxies are not running the current version", old);
    },
  };
}

function matchCli(description: string, anchor: string, where: Where): Check {
  return {
    description,
    anchor,
    isWarning: true,
    async run(mesh, signal) {
      const { cliVersion } = mesh.options;
      const versions = await versionsOf(mesh, where, signal);
      const other = versions.find(({ version }) => version !== cliVersion);
      if (other === undefined) return PASSED;
      const { pod, version } = other;
      return failed(`${pod.metadata.name} running ${version} but cli running ${cliVersion}`);
    },
  };
}
