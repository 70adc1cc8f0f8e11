import { MeshError } from "@heddle/base/errors";
import { CONTROL_PLANE_COMPONENT_LABEL, INJECT, OPAQUE_PORTS } from "./annotations.ts";
import { decide, SKIP_REASONS, type SkipReason } from "./decision.ts";
import { applyPatch, pointerKey } from "./json-patch.ts";
import { allContainers, checkPod, type Pod } from "./pod.ts";
import { patchPod } from "./pod-patch.ts";
import { uninject } from "./uninject.ts";
import type { Values } from "./values.ts";
import { templatePath } from "./workload.ts";

type Json = Readonly<Record<string, unknown>>;
type Annotations = Readonly<Record<string, string>>;

/** How the command line injects: it annotates, or with `manual` it writes the sidecar out. */
export interface ManifestSettings {
  /** The mesh's values; of manual injection the base of what is written. */
  readonly values: Values;
  /** Settings that differ from `values`, as the annotations that say so; ingress mode is one of them. */
  readonly overrides: Annotations;
  /** Undefined: annotate, and leave the rest to the webhook. */
  readonly manual:
    | {
        readonly controlNamespace: string;
        /** `linkerd/cli 1.0`. */
        readonly createdBy: string;
      }
    | undefined;
}

export interface InjectedManifest {
  readonly document: Json;
  readonly verdict: "injected" | "annotated" | "skipped";
  /** Why a pod got nothing. */
  readonly reasons: readonly SkipReason[];
  /** A container has a port of UDP, which no mesh sees. */
  readonly hasUdp: boolean;
  /** Annotations of the pod that were passed over for their values. */
  readonly warnings: readonly string[];
}

/** What a user must mend; a refusal and an unknown kind pass through. */
const HARD_REASONS: readonly SkipReason[] = [
  "host_network_enabled",
  "sidecar_already_exists",
  "disabled_automount_service_account_token_account",
];

/**
 * One object as `inject` prints it. What an earlier injection put there is taken out first.
 *
 * @throws MeshError `not_injectable` for a pod that cannot have a sidecar, `bad_pod` for what is none.
 */
export function injectManifest(given: Json, settings: ManifestSettings): InjectedManifest {
  const document = uninject(given).document as Json;
  const kind = String(given["kind"]);
  const { overrides, manual } = settings;
  if (kind === "Namespace") {
    return plain(annotate(document, { [INJECT]: "enabled", ...overrides }), "injected");
  }
  if (kind === "Service") {
    const ports = overrides[OPAQUE_PORTS];
    if (ports === undefined) return plain(document, "skipped");
    return plain(annotate(document, { [OPAQUE_PORTS]: ports }), "annotated");
  }
  const path = templatePath(kind);
  if (path === undefined) return plain(document, "skipped");
  const pod = podOf(document, path);
  const reasons = judge(pod, describe(kind, document), settings);
  const hasUdp = allContainers(pod).some(({ ports }) =>
    (ports ?? []).some(({ protocol }) => protocol === "UDP"),
  );
  if (reasons.length > 0) {
    // A refusal is not overwritten by the mode that somebody asks for.
    const { [INJECT]: _mode, ...rest } = overrides;
    const configured = replaceAt(document, path, (holder) => annotate(holder, rest));
    return { document: configured, verdict: "skipped", reasons, hasUdp, warnings: [] };
  }
  const added = manual === undefined ? { [INJECT]: "enabled", ...overrides } : overrides;
  const configured = replaceAt(document, path, (holder) => annotate(holder, added));
  if (manual === undefined) {
    return { document: configured, verdict: "injected", reasons, hasUdp, warnings: [] };
  }
  const written = writeSidecar(configured, kind, path, settings.values, manual);
  return { ...written, verdict: "injected", reasons, hasUdp };
}

function plain(document: Json, verdict: InjectedManifest["verdict"]): InjectedManifest {
  return { document, verdict, reasons: [], hasUdp: false, warnings: [] };
}

function judge(pod: Pod, name: string, { values, manual }: ManifestSettings): SkipReason[] {
  const labels = pod.metadata?.labels ?? {};
  if (manual === undefined && Object.hasOwn(labels, CONTROL_PLANE_COMPONENT_LABEL)) {
    const message = `failed to inject ${name}: --manual must be set to inject the control plane itself`;
    throw new MeshError("not_injectable", "client", message);
  }
  const { reasons } = decide(pod, {}, values, "cli");
  const hard = reasons.filter((reason) => HARD_REASONS.includes(reason));
  if (hard.length === 0) return [...reasons];
  const causes = hard.map((reason) => SKIP_REASONS[reason]).join(", ");
  throw new MeshError("not_injectable", "client", `failed to inject ${name}: ${causes}`);
}

/** The whole of what the webhook would add, written into the document. */
function writeSidecar(
  document: Json,
  kind: string,
  path: readonly string[],
  values: Values,
  { controlNamespace, createdBy }: NonNullable<ManifestSettings["manual"]>,
): Pick<InjectedManifest, "document" | "warnings"> {
  const meta = isMap(document["metadata"]) ? document["metadata"] : {};
  const { patch, warnings } = patchPod({
    pod: podOf(document, path),
    prefix: path.map((key) => `/${pointerKey(key)}`).join(""),
    // A manifest may leave it to whoever applies it; then the label says nothing.
    namespace: String(meta["namespace"] ?? ""),
    namespaceAnnotations: {},
    owner: kind === "Pod" ? undefined : { kind: kind.toLowerCase(), name: nameOf(document) },
    values,
    controlNamespace,
    createdBy,
  });
  return { document: applyPatch(document, patch), warnings };
}

function podOf(document: Json, path: readonly string[]): Pod {
  let template: unknown = document;
  for (const key of path) template = isMap(template) ? template[key] : undefined;
  if (!isMap(template) || !isMap(template["spec"])) {
    const kind = String(document["kind"]);
    const at = [...path, "spec"].join(".");
    const message = `failed to inject ${describe(kind, document)}: it has no ${at}`;
    throw new MeshError("bad_pod", "client", message);
  }
  return checkPod(template);
}

function describe(kind: string, document: Json): string {
  return `${kind.toLowerCase()}/${nameOf(document)}`;
}

function nameOf(document: Json): string {
  const meta = document["metadata"];
  return isMap(meta) ? String(meta["name"] ?? meta["generateName"] ?? "") : "";
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function annotate(holder: Json, added: Annotations): Json {
  if (Object.keys(added).length === 0) return holder;
  const meta = isMap(holder["metadata"]) ? holder["metadata"] : {};
  const own = isMap(meta["annotations"]) ? meta["annotations"] : {};
  return { ...holder, metadata: { ...meta, annotations: { ...own, ...added } } };
}

function replaceAt(holder: Json, path: readonly string[], change: (found: Json) => Json): Json {
  const [key, ...rest] = path;
  if (key === undefined) return change(holder);
  const child = holder[key];
  return isMap(child) ? { ...holder, [key]: replaceAt(child, rest, change) } : holder;
}
