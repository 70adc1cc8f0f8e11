import { CUSTOM_RESOURCE_DEFINITIONS } from "@heddle/kube/types/core";
import { type Category, failed, PASSED } from "../check.ts";
import { CREATED_BY } from "../resources.ts";

/** One of them is enough. */
const DEFINITIONS = ["httproutes", "grpcroutes"].map((one) => `${one}.gateway.networking.k8s.io`);

export const GATEWAY_API: Category = {
  name: "gateway-api-crd",
  checks: [
    {
      description: "Gateway API CRDs are installed",
      anchor: "gateway-api-crd",
      isFatal: true,
      async run(mesh, signal) {
        let isThere = false;
        for (const name of DEFINITIONS) {
          const found = await mesh.client.find(CUSTOM_RESOURCE_DEFINITIONS, { name }, { signal });
          if (found === undefined) continue;
          isThere = true;
          // Ours come with the versions that our own control plane uses.
          if (found.metadata.annotations?.[CREATED_BY] !== undefined) continue;
          const served = found.spec.versions.filter(({ served }) => served).map((one) => one.name);
          if (served.includes("v1")) continue;
          return failed(
            `${name} serves ${served.join(", ") || "no version"}, but not v1; install Gateway API v1.1.1 or newer`,
          );
        }
        if (isThere) return PASSED;
        return failed(
          `${DEFINITIONS.join(" and ")} are missing; install Gateway API, or run heddle install --crds --set installGatewayAPI=true | kubectl apply -f -`,
        );
      },
    },
  ],
};
