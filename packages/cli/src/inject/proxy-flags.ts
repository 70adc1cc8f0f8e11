import { INJECT, OPAQUE_PORTS } from "@heddle/inject/annotations";
import { parsePortRanges } from "@heddle/inject/port-list";
import { effectiveSettings } from "@heddle/inject/settings";
import type { Values } from "@heddle/inject/values";
import { formatGoDuration, parseGoDuration } from "@heddle/model/go-duration";
import { parseQuantity } from "@heddle/model/quantity";
import { UsageError } from "../command.ts";

const CONFIG = "config.linkerd.io/";

interface Setting {
  readonly annotation: string;
  /** Throws SyntaxError for what no proxy could run with. */
  readonly check?: (text: string) => void;
}

/** Flags with a value, and the annotations they become. */
const SETTINGS: Readonly<Record<string, Setting>> = {
  "skip-inbound-ports": config("skip-inbound-ports", parsePortRanges),
  "skip-outbound-ports": config("skip-outbound-ports", parsePortRanges),
  "admin-port": config("admin-port"),
  "control-port": config("control-port"),
  "inbound-port": config("inbound-port"),
  "outbound-port": config("outbound-port"),
  "opaque-ports": { annotation: OPAQUE_PORTS },
  "proxy-image": config("proxy-image"),
  "proxy-version": config("proxy-version", checkVersion),
  "image-pull-policy": config("image-pull-policy", checkPullPolicy),
  "proxy-uid": config("proxy-uid"),
  "proxy-gid": config("proxy-gid"),
  "proxy-log-level": config("proxy-log-level", checkLogLevel),
  "require-identity-on-inbound-ports": config(
    "proxy-require-identity-inbound-ports",
    parsePortRanges,
  ),
  "proxy-cpu-request": config("proxy-cpu-request"),
  "proxy-cpu-limit": config("proxy-cpu-limit"),
  "proxy-memory-request": config("proxy-memory-request"),
  "proxy-memory-limit": config("proxy-memory-limit"),
  "default-inbound-policy": config("default-inbound-policy"),
  "wait-before-exit-seconds": {
    annotation: "config.alpha.linkerd.io/proxy-wait-before-exit-seconds",
  },
};

/** Flags that are true or false. */
const SWITCHES: Readonly<Record<string, string>> = {
  "enable-external-profiles": `${CONFIG}enable-external-profiles`,
  "native-sidecar": `${CONFIG}proxy-enable-native-sidecar`,
};

/** Earlier names of flags. */
const FORMER: Readonly<Record<string, string>> = {
  "proxy-memory": "proxy-memory-request",
  "proxy-cpu": "proxy-cpu-request",
};

function config(name: string, check?: (text: string) => void): Setting {
  return { annotation: CONFIG + name, ...(check === undefined ? {} : { check }) };
}

type FlagOption =
  | { readonly type: "string"; readonly short?: string }
  | { readonly type: "boolean" };

/** What `parseArgs` is told of the flags that configure proxies. */
export const PROXY_OPTIONS: Readonly<Record<string, FlagOption>> = {
  ...Object.fromEntries(
    [...Object.keys(SETTINGS), ...Object.keys(FORMER), "registry", "close-wait-timeout"].map(
      (name): [string, FlagOption] => [name, { type: "string" }],
    ),
  ),
  "proxy-version": { type: "string", short: "v" },
  ...Object.fromEntries(
    [...Object.keys(SWITCHES), "ingress", "enable-debug-sidecar", "disable-identity"].map(
      (name): [string, FlagOption] => [name, { type: "boolean" }],
    ),
  ),
};

/** The flags as a command's usage lists them; what is former or hidden is left out. */
export const PROXY_USAGE: string = [
  ...[...Object.keys(SWITCHES), "ingress", "enable-debug-sidecar"].map((name) => `[--${name}]`),
  ...[...Object.keys(SETTINGS), "registry", "close-wait-timeout"].map(
    (name) => `[--${name} VALUE]`,
  ),
].join(" ");

/** `LINKERD_DOCKER_REGISTRY` is what `--registry` says where it is not given. */
export const REGISTRY_VARIABLE = "LINKERD_DOCKER_REGISTRY";

/**
 * The annotations that a command line asks for: of what differs from `base` only. Values are judged
 * as the webhook would judge them.
 *
 * @throws UsageError that names the flag.
 */
export function overridesOf(
  given: Readonly<Record<string, unknown>>,
  base: Values,
  registryVariable: string | undefined,
): Readonly<Record<string, string>> {
  if (given["disable-identity"] === true) {
    throw new UsageError("--disable-identity is gone: every proxy has an identity");
  }
  const overrides: Record<string, string> = {};
  const set = (flag: string, annotation: string, value: string): void => {
    if (changes(flag, annotation, value, base)) overrides[annotation] = value;
  };
  for (const [flag, { annotation, check }] of Object.entries(SETTINGS)) {
    const former = Object.entries(FORMER).find(([, name]) => name === flag)?.[0];
    const value = given[flag] ?? (former === undefined ? undefined : given[former]);
    if (typeof value !== "string") continue;
    attempt(flag, () => check?.(value));
    set(flag, annotation, value);
  }
  for (const [flag, annotation] of Object.entries(SWITCHES)) {
    if (typeof given[flag] === "boolean") set(flag, annotation, String(given[flag]));
  }
  const registry = given["registry"] ?? registryVariable;
  if (typeof registry === "string" && registry !== "") {
    const proxyImage = overrides[`${CONFIG}proxy-image`] ?? base.proxy.image.name;
    set("registry", `${CONFIG}proxy-image`, inRegistry(proxyImage, registry));
    const debugImage = inRegistry(base.debugContainer.image.name, registry);
    set("registry", `${CONFIG}debug-image`, debugImage);
  }
  checkResources(overrides, base);
  if (given["ingress"] === true) overrides[INJECT] = "ingress";
  if (given["enable-debug-sidecar"] === true) overrides[`${CONFIG}enable-debug-sidecar`] = "true";
  const closeWaitMs = duration("close-wait-timeout", given["close-wait-timeout"]);
  if (closeWaitMs !== 0) {
    overrides[`${CONFIG}close-wait-timeout`] = formatGoDuration(closeWaitMs);
  }
  return overrides;
}

/** An image's name, taken from another registry: only what follows the last slash stays. */
export function inRegistry(image: string, registry: string): string {
  const name = image.slice(image.lastIndexOf("/") + 1);
  return registry.endsWith("/") ? registry + name : `${registry}/${name}`;
}

function changes(flag: string, annotation: string, value: string, base: Values): boolean {
  const { values, warnings } = effectiveSettings(base, {}, new Map([[annotation, value]]), {});
  if (warnings.length > 0) throw new UsageError(`--${flag}: ${warnings.join("; ")}`);
  return JSON.stringify(values) !== JSON.stringify(base);
}

function duration(flag: string, given: unknown): number {
  if (typeof given !== "string") return 0;
  const ms = attempt(flag, () => parseGoDuration(given));
  if (ms < 0) throw new UsageError(`--${flag}: "${given}" is less than nothing`);
  return ms;
}

function attempt<T>(flag: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UsageError(`--${flag}: ${error.message}`);
  }
}

/** A limit below its request is what no API server takes. */
function checkResources(overrides: Readonly<Record<string, string>>, base: Values): void {
  for (const name of ["cpu", "memory"] as const) {
    const { request, limit } = base.proxy.resources[name];
    const least = overrides[`${CONFIG}proxy-${name}-request`] ?? request;
    const most = overrides[`${CONFIG}proxy-${name}-limit`] ?? limit;
    if (least === "" || most === "" || parseQuantity(least) <= parseQuantity(most)) continue;
    const message = `--proxy-${name}-limit: ${most} is less than the request of ${least}`;
    throw new UsageError(message);
  }
}

function checkVersion(text: string): void {
  if (/^[.a-zA-Z0-9-]+$/.test(text)) return;
  throw new SyntaxError(`"${text}" is not a version: letters, digits, dots and hyphens`);
}

function checkPullPolicy(text: string): void {
  if (["Always", "IfNotPresent", "Never"].includes(text)) return;
  throw new SyntaxError(`"${text}" is none of Always, IfNotPresent, Never`);
}

const LEVEL = "(?:trace|debug|warn|info|error)";
const LOG_LEVEL = new RegExp(`^(?:${LEVEL}|(?:\\w|::)+|(?:\\w|::)+=${LEVEL})$`);

function checkLogLevel(text: string): void {
  if (text.split(",").every((part) => LOG_LEVEL.test(part.trim()))) return;
  throw new SyntaxError(`"${text}" is not a list such as warn,linkerd=info`);
}
