import {
  dig,
  digArray,
  digObject,
  digString,
  ensureObject,
  equal,
  isObject,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Cause } from "@heddle/apiserver/status-error";
import { defaultPod, defaultWorkload } from "./defaults.ts";
import type { Strategy } from "./resource-type.ts";

/** What most kinds do: nothing of their own. */
export const PLAIN: Strategy = {
  names: "subdomain",
  hasGeneration: false,
  allowsUnconditionalUpdate: true,
};

/** Workloads count the generations of their spec. */
export const GENERATED: Strategy = { ...PLAIN, hasGeneration: true };

export function invalidValue(field: string, value: unknown, why: string): Cause {
  const message = `Invalid value: ${JSON.stringify(value) ?? "null"}: ${why}`;
  return { reason: "FieldValueInvalid", message, field };
}

export function required(field: string, why = ""): Cause {
  const message = why === "" ? "Required value" : `Required value: ${why}`;
  return { reason: "FieldValueRequired", message, field };
}

/** A cause for each of these fields that differs. */
export function immutable(
  object: JsonObject,
  old: JsonObject,
  ...paths: readonly string[]
): Cause[] {
  const causes: Cause[] = [];
  for (const path of paths) {
    const keys = path.split(".");
    const now = dig(object, ...keys);
    if (!equal(now, dig(old, ...keys))) causes.push(invalidValue(path, now, "field is immutable"));
  }
  return causes;
}

/** Namespaces that everything assumes to be there. */
const PERMANENT_NAMESPACES: readonly string[] = ["default", "kube-system", "kube-public"];

export const NAMESPACE: Strategy = {
  ...PLAIN,
  names: "label",
  prepareCreate: (object) => {
    // Held until the namespace's content is gone.
    object["spec"] = { finalizers: ["kubernetes"] };
    object["status"] = { phase: "Active" };
    nameLabel(object);
  },
  prepareUpdate: (object, old) => {
    object["spec"] = own(old, "spec") ?? { finalizers: ["kubernetes"] };
    nameLabel(object);
  },
  refuseDelete: (object) =>
    PERMANENT_NAMESPACES.includes(digString(object, "metadata", "name") ?? "")
      ? "this namespace may not be deleted"
      : undefined,
};

function nameLabel(object: JsonObject): void {
  const metadata = ensureObject(object, "metadata");
  ensureObject(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"] ?? "";
}

export const SECRET: Strategy = {
  ...PLAIN,
  normalize: moveStringData,
  prepareUpdate: (object, old) => {
    object["type"] ??= own(old, "type") ?? "Opaque";
  },
  validate: (object) => {
    const causes = badKeys(object, "data");
    if (digString(object, "type") === "kubernetes.io/tls") {
      for (const key of ["tls.crt", "tls.key"]) {
        if (digString(object, "data", key) === undefined) causes.push(required(`data[${key}]`));
      }
    }
    return causes;
  },
  validateUpdate: (object, old) => [
    ...immutable(object, old, "type"),
    ...(own(old, "immutable") === true ? immutable(object, old, "immutable", "data") : []),
  ],
};

/** Text that clients may write in place of base64; it is never stored as such. */
function moveStringData(object: JsonObject): void {
  const texts = own(object, "stringData");
  // What is no text stays, for the schema to refuse.
  if (!isObject(texts) || !Object.values(texts).every((text) => typeof text === "string")) return;
  delete object["stringData"];
  const data = ensureObject(object, "data");
  for (const [key, text] of Object.entries(texts)) {
    Object.defineProperty(data, key, {
      value: Buffer.from(String(text)).toString("base64"),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
}

export const CONFIG_MAP: Strategy = {
  ...PLAIN,
  validate: (object) => {
    const causes = [...badKeys(object, "data"), ...badKeys(object, "binaryData")];
    const texts = digObject(object, "data") ?? {};
    for (const key of Object.keys(digObject(object, "binaryData") ?? {})) {
      if (!Object.hasOwn(texts, key)) continue;
      causes.push(invalidValue(`binaryData[${key}]`, key, "duplicate of key present in data"));
    }
    return causes;
  },
  validateUpdate: (object, old) =>
    own(old, "immutable") === true ? immutable(object, old, "immutable", "data", "binaryData") : [],
};

/** Both kinds together may hold this much. */
const MAX_DATA = 1024 * 1024;

function badKeys(object: JsonObject, path: "data" | "binaryData"): Cause[] {
  const causes: Cause[] = [];
  let total = 0;
  for (const [key, value] of Object.entries(digObject(object, path) ?? {})) {
    total += typeof value === "string" ? value.length : 0;
    if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key) || key === "." || key === "..") {
      const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
      causes.push(invalidValue(`${path}[${key}]`, key, rule));
    }
  }
  if (total > MAX_DATA * 1.4) {
    const message = `Too long: may not be more than ${MAX_DATA} bytes`;
    causes.push({ reason: "FieldValueTooLong", message, field: path });
  }
  return causes;
}

export const POD: Strategy = {
  ...PLAIN,
  hasGeneration: true,
  normalize: defaultPod,
  prepareCreate: (object) => {
    object["status"] = { phase: "Pending" };
    const spec = ensureObject(object, "spec");
    const account = spec["serviceAccountName"] ?? spec["serviceAccount"] ?? "default";
    spec["serviceAccountName"] = account;
    spec["serviceAccount"] = account;
  },
  refuseCreate: (object, { tx }) => {
    const namespace = digString(object, "metadata", "namespace") ?? "";
    const name = digString(object, "spec", "serviceAccountName") ?? "";
    // Every namespace gets that one; whoever is quicker than its controller shall not be told off.
    if (name === "default") return undefined;
    if (tx.get({ resource: "/serviceaccounts", namespace, name }) !== undefined) return undefined;
    const why = `serviceaccount "${name}" not found`;
    return `error looking up service account ${namespace}/${name}: ${why}`;
  },
  validate: (object) => {
    const containers = digArray(object, "spec", "containers");
    return containers.length === 0 ? [required("spec.containers")] : [];
  },
};

/** Controllers of pods: the selector says which pods are theirs, and never changes. */
export const WORKLOAD: Strategy = {
  ...GENERATED,
  normalize: defaultWorkload,
  validate: (object) => {
    const causes: Cause[] = [];
    const selector = digObject(object, "spec", "selector");
    const labels = digObject(object, "spec", "template", "metadata", "labels");
    const containers = own(digObject(object, "spec", "template", "spec"), "containers");
    if (Array.isArray(containers) && containers.length === 0) {
      causes.push(required("spec.template.spec.containers"));
    }
    for (const [key, value] of Object.entries(digObject(selector, "matchLabels") ?? {})) {
      if (own(labels, key) === value) continue;
      const why = "`selector` does not match template `labels`";
      causes.push(invalidValue("spec.template.metadata.labels", labels ?? {}, why));
      break;
    }
    if (selector !== undefined && Object.keys(selector).length === 0) {
      causes.push(invalidValue("spec.selector", {}, "empty selector is invalid"));
    }
    return causes;
  },
  validateUpdate: (object, old) => immutable(object, old, "spec.selector"),
};

export const ROLE_BINDING: Strategy = {
  ...PLAIN,
  names: "path-segment",
  prepareCreate: (object) => {
    ensureObject(object, "roleRef")["apiGroup"] ??= "rbac.authorization.k8s.io";
    for (const subject of digArray(object, "subjects")) {
      const group =
        digString(subject, "kind") === "ServiceAccount" ? "" : "rbac.authorization.k8s.io";
      if (isObject(subject) && group !== "") subject["apiGroup"] ??= group;
    }
  },
  validateUpdate: (object, old) => immutable(object, old, "roleRef"),
};

export const ROLE: Strategy = { ...PLAIN, names: "path-segment" };

export const SERVICE_ACCOUNT: Strategy = PLAIN;
