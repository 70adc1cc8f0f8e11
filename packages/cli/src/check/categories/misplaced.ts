import { SERVICES, type Service } from "@heddle/kube/types/core";
import { type Check, failedFor } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";

/** What is an annotation, and does nothing as a label. */
const ANNOTATION_KEYS = ["linkerd.io/inject"];
const ANNOTATION_PREFIXES = ["config.linkerd.io/", "config.alpha.linkerd.io/"];
/** What is a label, and does nothing as an annotation. */
const LABEL_KEYS = ["mirror.linkerd.io/exported"];

/** Labels and annotations in each other's place. */
export const LABEL_CHECKS: readonly Check[] = [
  {
    description: "data plane pod labels are configured correctly",
    anchor: "l5d-data-plane-pod-labels",
    isWarning: true,
    async run(mesh, signal) {
      const pods = await mesh.meshedPods(mesh.options.dataNamespace, signal);
      const found = pods.flatMap(({ metadata }) =>
        misplacedLabels(metadata.labels).map((key) => `${metadata.name} ${key}`),
      );
      return failedFor("make these labels of pods annotations", found.sort());
    },
  },
  {
    description: "data plane service labels are configured correctly",
    anchor: "l5d-data-plane-services-labels",
    isWarning: true,
    async run(mesh, signal) {
      const found = (await services(mesh, signal)).flatMap(({ metadata }) =>
        misplacedLabels(metadata.labels).map((key) => `${metadata.name} ${key}`),
      );
      return failedFor("make these labels of services annotations", found.sort());
    },
  },
  {
    description: "data plane service annotations are configured correctly",
    anchor: "l5d-data-plane-services-annotations",
    isWarning: true,
    async run(mesh, signal) {
      const found = (await services(mesh, signal)).flatMap(({ metadata }) =>
        LABEL_KEYS.filter((key) => Object.hasOwn(metadata.annotations ?? {}, key)).map(
          (key) => `${metadata.name} ${key}`,
        ),
      );
      return failedFor("make these annotations of services labels", found.sort());
    },
  },
];

function misplacedLabels(labels: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.keys(labels).filter(
    (key) =>
      ANNOTATION_KEYS.includes(key) || ANNOTATION_PREFIXES.some((prefix) => key.startsWith(prefix)),
  );
}

async function services(mesh: CheckedMesh, signal: AbortSignal): Promise<readonly Service[]> {
  const namespace = mesh.options.dataNamespace;
  return (await mesh.client.list(SERVICES, { namespace, signal })).items;
}
