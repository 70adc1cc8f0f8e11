import type { CustomResourceDefinition } from "@heddle/kube/types/core";
import { AGE, type Column, definition, version } from "./definition.ts";
import {
  bounded,
  list,
  looseConditions,
  object,
  portNumber,
  root,
  type Schema,
  text,
  timestamp,
} from "./schema.ts";

const IDENTITY: Column = { name: "Identity", jsonPath: ".spec.meshTLS.identity" };

export function externalWorkloads(): CustomResourceDefinition {
  const status = object({ conditions: looseConditions({ lastProbeTime: timestamp() }) });
  return definition({
    group: "workload.linkerd.io",
    kind: "ExternalWorkload",
    plural: "externalworkloads",
    categories: ["external"],
    versions: [
      version("v1alpha1", {
        schema: root(spec("meshTls*", 1), { status }),
        columns: [{ ...IDENTITY, jsonPath: ".spec.meshTls.identity" }, AGE],
      }),
      version("v1beta1", {
        schema: root(spec("meshTLS*", 2), { status }),
        columns: [IDENTITY, AGE],
        hasStatus: true,
        isStored: true,
      }),
    ],
  });
}

/** The first version spells the field differently, and knows one address only. */
function spec(meshTls: "meshTls*" | "meshTLS*", maxItems: number): Schema {
  return object({
    [meshTls]: object({ "identity*": bounded(1, 253), "serverName*": bounded(1, 253) }),
    ports: list(
      object({ name: text(), "port*": portNumber(), protocol: text({ default: "TCP" }) }),
    ),
    workloadIPs: list(object({ ip: text() }), { maxItems }),
  });
}
