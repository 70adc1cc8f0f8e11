import { NAMESPACES } from "@heddle/kube/types/core";
import { type Category, failedFor } from "../check.ts";
import { EXTENSION } from "../resources.ts";

export const EXTENSION_NAMESPACES: Category = {
  name: "linkerd-extension-checks",
  checks: [
    {
      description: "namespace configuration for extensions",
      anchor: "l5d-extension-namespaces",
      isWarning: true,
      async run(mesh, signal) {
        const { items } = await mesh.client.list(NAMESPACES, { labelSelector: EXTENSION, signal });
        const byExtension = new Map<string, string[]>();
        for (const { metadata } of items) {
          const extension = metadata.labels?.[EXTENSION] ?? "";
          byExtension.set(extension, [...(byExtension.get(extension) ?? []), metadata.name ?? ""]);
        }
        const shared = [...byExtension].filter(([, namespaces]) => namespaces.length > 1);
        return failedFor(
          "some extensions have several namespaces, and each may have one",
          shared.map(([extension, namespaces]) => `${extension}: ${namespaces.sort().join(", ")}`),
        );
      },
    },
  ],
};
