import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { INJECT, OPAQUE_PORTS } from "@heddle/inject/annotations";
import { decide, SKIP_REASONS, type SkipReason } from "@heddle/inject/decision";
import { checkPod } from "@heddle/inject/pod";
import { effectiveSettings } from "@heddle/inject/settings";
import { uninject } from "@heddle/inject/uninject";
import { defaultValues, type Values } from "@heddle/inject/values";
import { templatePath } from "@heddle/inject/workload";
import { type Command, UsageError } from "../command.ts";
import { manifestTarget, type Transformed, transformManifests } from "../manifests.ts";

const CONFIG = "config.linkerd.io/";

/** Flags with a value, and the annotations they become. */
const SETTINGS: Readonly<Record<string, string>> = {
  "skip-inbound-ports": `${CONFIG}skip-inbound-ports`,
  "skip-outbound-ports": `${CONFIG}skip-outbound-ports`,
  "admin-port": `${CONFIG}admin-port`,
  "control-port": `${CONFIG}control-port`,
  "inbound-port": `${CONFIG}inbound-port`,
  "outbound-port": `${CONFIG}outbound-port`,
  "opaque-ports": OPAQUE_PORTS,
  "proxy-image": `${CONFIG}proxy-image`,
  "image-pull-policy": `${CONFIG}image-pull-policy`,
  "proxy-uid": `${CONFIG}proxy-uid`,
  "proxy-gid": `${CONFIG}proxy-gid`,
  "proxy-log-level": `${CONFIG}proxy-log-level`,
  "require-identity-on-inbound-ports": `${CONFIG}proxy-require-identity-inbound-ports`,
  "proxy-cpu-request": `${CONFIG}proxy-cpu-request`,
  "proxy-cpu-limit": `${CONFIG}proxy-cpu-limit`,
  "proxy-memory-request": `${CONFIG}proxy-memory-request`,
  "proxy-memory-limit": `${CONFIG}proxy-memory-limit`,
  "default-inbound-policy": `${CONFIG}default-inbound-policy`,
  "wait-before-exit-seconds": "config.alpha.linkerd.io/proxy-wait-before-exit-seconds",
};

/** Flags that turn something on. */
const SWITCHES: Readonly<Record<string, string>> = {
  "enable-external-profiles": `${CONFIG}enable-external-profiles`,
  "enable-debug-sidecar": `${CONFIG}enable-debug-sidecar`,
  "native-sidecar": `${CONFIG}proxy-enable-native-sidecar`,
};

/** What a user must mend; a refusal and an unknown kind pass through. */
const HARD_REASONS: readonly SkipReason[] = [
  "host_network_enabled",
  "sidecar_already_exists",
  "disabled_automount_service_account_token_account",
];

type Json = Readonly<Record<string, unknown>>;
type Annotations = Readonly<Record<string, string>>;

export const inject: Command = {
  name: "inject",
  summary: "Annotate manifests, so that their pods get the sidecar",
  usage: `inject [--ingress] [-o yaml|json]${Object.keys(SWITCHES)
    .map((name) => ` [--${name}]`)
    .join("")}${Object.keys(SETTINGS)
    .map((name) => ` [--${name} VALUE]`)
    .join("")} FILE|FOLDER|HTTPS-URL|-`,

  async run(args, context) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...flags(SETTINGS, "string"),
        ...flags(SWITCHES, "boolean"),
        ingress: { type: "boolean", default: false },
        output: { type: "string", short: "o", default: "yaml" },
      },
    });
    const target = manifestTarget(positionals, values.output);
    const base = defaultValues("");
    const overrides = overridesOf(values, base);
    const mode = values.ingress === true ? "ingress" : "enabled";
    const transform = (given: Json) => injectOne(given, mode, overrides, base);
    return transformManifests({ ...target, transform }, context);
  },
};

function flags<T extends "string" | "boolean">(
  names: Readonly<Record<string, string>>,
  type: T,
): Record<string, { readonly type: T }> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, { type }]));
}

/** Only what changes a default becomes an annotation. Values are judged as the webhook would. */
function overridesOf(given: Json, base: Values): Annotations {
  const overrides: Record<string, string> = {};
  for (const [flag, key] of Object.entries(SETTINGS)) {
    const value = given[flag];
    if (typeof value === "string" && changes(key, value, base)) overrides[key] = value;
  }
  for (const [flag, key] of Object.entries(SWITCHES)) {
    if (given[flag] === true && changes(key, "true", base)) overrides[key] = "true";
  }
  return overrides;
}

function changes(key: string, value: string, base: Values): boolean {
  const { values, warnings } = effectiveSettings(base, {}, new Map([[key, value]]), {});
  if (warnings.length > 0) throw new UsageError(warnings.join("; "));
  return JSON.stringify(values) !== JSON.stringify(base);
}

function injectOne(given: Json, mode: string, overrides: Annotations, base: Values): Transformed {
  const document = uninject(given).document as Json;
  const kind = String(given["kind"]);
  if (kind === "Namespace") {
    return { document: annotate(document, { [INJECT]: mode, ...overrides }), verdict: "injected" };
  }
  if (kind === "Service") {
    const ports = overrides[OPAQUE_PORTS];
    if (ports === undefined) return { document, verdict: "skipped" };
    return { document: annotate(document, { [OPAQUE_PORTS]: ports }), verdict: "annotated" };
  }
  const path = templatePath(kind);
  if (path === undefined) return { document, verdict: "skipped" };
  let template: unknown = document;
  for (const key of path) template = isMap(template) ? template[key] : undefined;
  const { reasons } = decide(checkPod(template), {}, base, "cli");
  const hard = reasons.filter((reason) => HARD_REASONS.includes(reason));
  if (hard.length > 0) {
    const meta = document["metadata"];
    const name = isMap(meta) ? String(meta["name"] ?? "") : "";
    const causes = hard.map((reason) => SKIP_REASONS[reason]).join(", ");
    const message = `failed to inject ${kind.toLowerCase()}/${name}: ${causes}`;
    throw new MeshError("not_injectable", "client", message);
  }
  const isRefused = reasons.length > 0;
  const added = isRefused ? overrides : { [INJECT]: mode, ...overrides };
  const result = replaceAt(document, path, (holder) => annotate(holder, added));
  return { document: result, verdict: isRefused ? "skipped" : "injected" };
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
