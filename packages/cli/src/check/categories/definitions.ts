import { CUSTOM_RESOURCE_DEFINITIONS } from "@heddle/kube/types/core";
import { chartObjects } from "../../helm/chart.ts";
import { type Category, type Check, failedFor } from "../check.ts";

interface Wanted {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly versions: readonly { readonly name: string }[] };
}

/** Every definition of the chart is there, in the version that the chart names last. */
const definitionsExist: Check = {
  description: "control plane CustomResourceDefinitions exist",
  anchor: "l5d-existence-crd",
  isFatal: true,
  async run(mesh, signal) {
    const { controlNamespace: namespace } = mesh.options;
    const wanted = chartObjects("heddle-crds", { namespace, service: "CLI", values: {} });
    const { items } = await mesh.client.list(CUSTOM_RESOURCE_DEFINITIONS, { signal });
    const problems: string[] = [];
    for (const { metadata, spec } of wanted as readonly Wanted[]) {
      const found = items.find((one) => one.metadata.name === metadata.name);
      const version = spec.versions.at(-1)?.name;
      if (found === undefined) problems.push(`${metadata.name} is missing`);
      else if (!found.spec.versions.some(({ name }) => name === version)) {
        problems.push(`${metadata.name} has no version ${version}`);
      }
    }
    return failedFor("run heddle install --crds | kubectl apply -f -", problems);
  },
};

export const DEFINITIONS: Category = {
  name: "linkerd-crd",
  checks: [{ ...definitionsExist, isRetried: true }],
};

/** The same among the checks of an installed control plane, where waiting would bring nothing. */
export const DEFINITIONS_EXIST: Check = definitionsExist;
