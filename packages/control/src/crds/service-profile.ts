import type { CustomResourceDefinition } from "@heddle/kube/types/core";
import { definition, version } from "./definition.ts";
import {
  flag,
  integer,
  intOrString,
  list,
  object,
  open,
  QUANTITY,
  root,
  type Schema,
  text,
} from "./schema.ts";

export function serviceProfiles(): CustomResourceDefinition {
  return definition({
    group: "linkerd.io",
    kind: "ServiceProfile",
    plural: "serviceprofiles",
    shortNames: ["sp"],
    versions: [
      version("v1alpha1", { schema: root(spec("routes*")) }),
      version("v1alpha2", {
        schema: root(spec("routes"), { isSpecOptional: true }),
        isStored: true,
      }),
    ],
  });
}

function spec(routes: "routes" | "routes*"): Schema {
  const weight = intOrString({
    anyOf: [{ type: "integer" }, { type: "string" }],
    pattern: QUANTITY,
  });
  return object({
    dstOverrides: list(object({ authority: text(), weight })),
    opaquePorts: list(text()),
    retryBudget: object({
      "minRetriesPerSecond*": integer("int32"),
      "retryRatio*": { type: "number", format: "float" },
      "ttl*": text(),
    }),
    [routes]: list(route()),
  });
}

/** Conditions nest without end, which a structural schema cannot say: below they are open. */
function route(): Schema {
  const any = list(open());
  return object({
    "condition*": object({ pathRegex: text(), method: text(), all: any, any, not: any }),
    isRetryable: flag(),
    "name*": text(),
    timeout: text(),
    responseClasses: list(
      object({
        "condition*": object({
          all: any,
          any,
          not: open(),
          status: object({ max: integer("int32"), min: integer("int32") }),
        }),
        isFailure: flag(),
      }),
    ),
  });
}
