import { isDeepStrictEqual } from "node:util";
import { MeshError } from "@heddle/base/errors";
import type { Secret } from "@heddle/kube/types/core";
import { stringify } from "yaml";
import { parseValues, type Values } from "../helm/set-values.ts";

/** Of the Secret, and of its one key. */
export const OVERRIDES = "linkerd-config-overrides";

/**
 * What differs from the chart's own values, and so must be known to the next upgrade. `null` stands
 * for a default that was taken away.
 */
export function overridesOf(values: Readonly<Values>, defaults: Readonly<Values>): Values {
  const found: Values = {};
  for (const [key, value] of Object.entries(values)) {
    const base = Object.hasOwn(defaults, key) ? defaults[key] : undefined;
    if (isDeepStrictEqual(value, base)) continue;
    if (isMap(value) && isMap(base)) found[key] = overridesOf(value, base);
    else found[key] = value;
  }
  for (const key of Object.keys(defaults)) {
    if (!Object.hasOwn(values, key)) found[key] = null;
  }
  return found;
}

/** The Secret that `upgrade` and `prune` read. It holds the issuer's key. */
export function overridesSecret(overrides: Values, namespace: string, labels: object): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: OVERRIDES,
      namespace,
      labels: { "linkerd.io/control-plane-ns": namespace, ...labels },
    },
    data: { [OVERRIDES]: Buffer.from(stringify(overrides, { lineWidth: 0 })).toString("base64") },
  };
}

/** @throws MeshError `bad_overrides` if the Secret holds no such values. */
export function readOverrides(secret: Secret): Values {
  try {
    return parseValues(Buffer.from(secret.data?.[OVERRIDES] ?? "", "base64").toString());
  } catch (cause) {
    const message = `Cannot read Secret ${secret.metadata.namespace}/${OVERRIDES}: it holds no values`;
    throw new MeshError("bad_overrides", "control", message, { cause });
  }
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
