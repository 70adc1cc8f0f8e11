import {
  clone,
  digArray,
  digObject,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";

/**
 * Defaults that hang on other fields, which a schema cannot say. Absent fields only are filled in,
 * and only in objects that are there: what is missing altogether, the schema refuses.
 */

/** Of a pod itself; templates do without some of these until a pod is made of them. */
export function defaultPod(pod: JsonObject): void {
  const spec = digObject(pod, "spec");
  if (spec === undefined) return;
  spec["enableServiceLinks"] ??= true;
  defaultContainers(spec);
  for (const key of ["containers", "initContainers"]) {
    for (const container of digArray(spec, key)) requestLimits(container);
  }
}

/** Of whatever has a `spec.template`. */
export function defaultWorkload(object: JsonObject): void {
  const spec = digObject(object, "spec");
  if (spec === undefined) return;
  const template = digObject(spec, "template", "spec");
  if (template !== undefined) defaultContainers(template);
  const defaults = STRATEGIES[String(object["kind"])];
  if (defaults === undefined) return;
  for (const [key, value] of Object.entries(defaults.fields)) spec[key] ??= clone(value);
  defaultStrategy(spec, defaults);
}

export function defaultCronJob(object: JsonObject): void {
  const template = digObject(object, "spec", "jobTemplate", "spec", "template", "spec");
  if (template !== undefined) defaultContainers(template);
}

interface Defaults {
  readonly strategy: "strategy" | "updateStrategy";
  readonly rollingUpdate: JsonObject;
  readonly fields: JsonObject;
}

const STRATEGIES: Readonly<Record<string, Defaults>> = {
  Deployment: {
    strategy: "strategy",
    rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" },
    fields: {},
  },
  DaemonSet: {
    strategy: "updateStrategy",
    rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
    fields: {},
  },
  StatefulSet: {
    strategy: "updateStrategy",
    rollingUpdate: { partition: 0 },
    fields: {
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
    },
  },
};

function defaultStrategy(spec: JsonObject, { strategy, rollingUpdate }: Defaults): void {
  spec[strategy] ??= {};
  const chosen = spec[strategy];
  if (!isObject(chosen)) return;
  if ((own(chosen, "type") ?? "") === "") chosen["type"] = "RollingUpdate";
  if (chosen["type"] !== "RollingUpdate") return;
  chosen["rollingUpdate"] ??= {};
  const rolling = chosen["rollingUpdate"];
  if (!isObject(rolling)) return;
  for (const [key, value] of Object.entries(rollingUpdate)) rolling[key] ??= value;
}

function defaultContainers(spec: JsonObject): void {
  for (const key of ["containers", "initContainers", "ephemeralContainers"]) {
    for (const container of digArray(spec, key)) {
      if (isObject(container)) container["imagePullPolicy"] ??= pullPolicy(container["image"]);
    }
  }
}

/** An image without a tag is the latest one, which may be another tomorrow. */
function pullPolicy(image: Json | undefined): string {
  const name = typeof image === "string" ? image : "";
  if (name.includes("@")) return "IfNotPresent";
  const tag = /:([^/:]+)$/.exec(name)?.[1] ?? "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

/** Whoever limits a resource and asks for none of it asks for as much. */
function requestLimits(container: Json): void {
  const resources = digObject(container, "resources");
  const limits = digObject(resources, "limits");
  if (resources === undefined || limits === undefined) return;
  resources["requests"] ??= {};
  const requests = resources["requests"];
  if (!isObject(requests)) return;
  for (const [name, limit] of Object.entries(limits)) {
    if (!Object.hasOwn(requests, name)) requests[name] = limit;
  }
}
