import { CONTROL_PLANE_COMPONENT_LABEL, INJECT } from "./annotations.ts";
import { END_ENTITY_VOLUME } from "./containers.ts";
import { TOKEN_NAME } from "./proxy-variables.ts";
import { templatePath } from "./workload.ts";

const INIT_CONTAINERS: readonly string[] = ["linkerd-init", "linkerd-proxy"];
const CONTAINERS: readonly string[] = ["linkerd-proxy"];
const VOLUMES: readonly string[] = [
  END_ENTITY_VOLUME,
  "linkerd-proxy-init-xtables-lock",
  TOKEN_NAME,
];
const PREFIX = "linkerd.io";

type Json = Record<string, unknown>;

export interface Uninjection {
  readonly document: unknown;
  readonly isChanged: boolean;
}

/**
 * The document without what injection put there: containers, volumes, and the annotations and labels
 * of `linkerd.io`. A refusal to be injected stays, as do settings under `config.linkerd.io`.
 */
export function uninject(document: unknown): Uninjection {
  const root = structuredClone(document);
  if (!isMap(root) || typeof root["kind"] !== "string") return { document, isChanged: false };
  const path = templatePath(root["kind"]);
  if (path === undefined && !["Namespace", "Service"].includes(root["kind"])) {
    return { document, isChanged: false };
  }
  let isChanged = stripMeta(root);
  let template: unknown = root;
  for (const key of path ?? []) template = isMap(template) ? template[key] : undefined;
  if (path !== undefined && isMap(template)) {
    if (template !== root) isChanged = stripMeta(template) || isChanged;
    isChanged = stripSpec(template["spec"]) || isChanged;
  }
  return isChanged ? { document: root, isChanged } : { document, isChanged };
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function stripSpec(spec: unknown): boolean {
  if (!isMap(spec)) return false;
  const changes = [
    stripList(spec, "initContainers", INIT_CONTAINERS),
    stripList(spec, "containers", CONTAINERS),
    stripList(spec, "volumes", VOLUMES),
  ];
  return changes.includes(true);
}

/** A list that was made for our items alone goes with them. */
function stripList(spec: Json, key: string, names: readonly string[]): boolean {
  const list = spec[key];
  if (!Array.isArray(list)) return false;
  const kept = list.filter(
    (item: unknown) => !(isMap(item) && names.includes(String(item["name"]))),
  );
  if (kept.length === list.length) return false;
  if (kept.length === 0 && key !== "containers") delete spec[key];
  else spec[key] = kept;
  return true;
}

/** The control plane's own objects keep what names them. */
function stripMeta(holder: Json): boolean {
  const meta = holder["metadata"];
  if (!isMap(meta)) return false;
  const labels = meta["labels"];
  if (isMap(labels) && Object.hasOwn(labels, CONTROL_PLANE_COMPONENT_LABEL)) return false;
  const changes = [stripKeys(meta, "annotations"), stripKeys(meta, "labels")];
  return changes.includes(true);
}

function stripKeys(meta: Json, name: "annotations" | "labels"): boolean {
  const map = meta[name];
  if (!isMap(map)) return false;
  const ours = Object.keys(map).filter(
    (key) =>
      key.startsWith(PREFIX) &&
      !(name === "annotations" && key === INJECT && map[key] === "disabled"),
  );
  for (const key of ours) delete map[key];
  if (ours.length > 0 && Object.keys(map).length === 0) delete meta[name];
  return ours.length > 0;
}
