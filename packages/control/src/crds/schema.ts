/** A node of a structural schema, as CRDs carry it. */
export type Schema = Readonly<Record<string, unknown>>;

/** The regular expressions of Linkerd's and the Gateway API's schemas. */
export const GROUP = "^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
export const KIND = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$";
export const SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
export const HOSTNAME =
  "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
export const LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
export const HEADER_NAME = "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$";
export const REASON = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
export const CONDITION_TYPE =
  "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
export const CONTROLLER_NAME =
  "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\\/[A-Za-z0-9\\/\\-._~%!$&'()*+,;=:]+$";
export const QUANTITY =
  "^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$";
export const IDENTITY = "^(\\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
export const GEP_DURATION = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/** An object. A name that ends with `*` is required. */
export function object(properties: Readonly<Record<string, Schema>>, more: Schema = {}): Schema {
  const required = Object.keys(properties)
    .filter((name) => name.endsWith("*"))
    .map((name) => name.slice(0, -1));
  const plain = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name.replace(/\*$/, ""), schema]),
  );
  return {
    type: "object",
    properties: plain,
    ...(required.length === 0 ? {} : { required }),
    ...more,
  };
}

/** An object of which nothing is said. */
export function open(): Schema {
  return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
}

export function text(more: Schema = {}): Schema {
  return { type: "string", ...more };
}

export function bounded(
  minLength: number,
  maxLength: number,
  pattern?: string,
  more: Schema = {},
): Schema {
  return text({
    ...(minLength === 0 ? {} : { minLength }),
    maxLength,
    ...(pattern === undefined ? {} : { pattern }),
    ...more,
  });
}

export function oneOfTexts(values: readonly string[], more: Schema = {}): Schema {
  return text({ enum: values, ...more });
}

export function flag(): Schema {
  return { type: "boolean" };
}

export function integer(format: "int32" | "int64", more: Schema = {}): Schema {
  return { type: "integer", format, ...more };
}

export function portNumber(): Schema {
  return integer("int32", { minimum: 1, maximum: 65_535 });
}

export function intOrString(more: Schema = {}): Schema {
  return { "x-kubernetes-int-or-string": true, ...more };
}

export function list(items: Schema, more: Schema = {}): Schema {
  return { type: "array", items, ...more };
}

/** A list whose items are told apart by one field. */
export function mapList(items: Schema, key: string, more: Schema = {}): Schema {
  return list(items, {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": [key],
    ...more,
  });
}

export function timestamp(): Schema {
  return text({ format: "date-time" });
}

export function exactlyOne(...names: readonly string[]): Schema {
  return { oneOf: names.map((name) => ({ required: [name] })) };
}

export function selector(): Schema {
  return object({
    matchLabels: open(),
    matchExpressions: list(
      object({
        "key*": text(),
        "operator*": oneOfTexts(["In", "NotIn", "Exists", "DoesNotExist"]),
        values: list(text()),
      }),
    ),
  });
}

/** A reference to an object of any kind. */
export function reference(name: "name" | "name*", namespace?: Schema): Schema {
  return object({
    group: bounded(0, 253, GROUP),
    "kind*": bounded(1, 63, KIND),
    [name]: bounded(1, 253),
    ...(namespace === undefined ? {} : { namespace }),
  });
}

export function networks(): Schema {
  return list(object({ "cidr*": text(), except: list(text()) }));
}

/** Of kinds whose conditions require nothing. */
export function looseConditions(more: Readonly<Record<string, Schema>> = {}): Schema {
  return list(
    object({
      ...more,
      lastTransitionTime: timestamp(),
      status: oneOfTexts(["True", "False", "Unknown"]),
      type: bounded(0, 316, CONDITION_TYPE),
      reason: bounded(1, 1_024, REASON),
      message: bounded(0, 32_768),
    }),
  );
}

/** A version's whole schema. */
export function root(
  spec: Schema,
  options: { isSpecOptional?: boolean; status?: Schema } = {},
): Schema {
  return object({
    apiVersion: text(),
    kind: text(),
    metadata: { type: "object" },
    [options.isSpecOptional === true ? "spec" : "spec*"]: spec,
    ...(options.status === undefined ? {} : { status: options.status }),
  });
}
