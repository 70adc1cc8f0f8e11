import { parseArgs } from "node:util";
import { wholeCores } from "@heddle/inject/go-text";
import { type CliContext, UsageError } from "../command.ts";
import { goArgs } from "../go-flags.ts";
import { overlay, type Values } from "../helm/set-values.ts";
import { attempt, readText } from "../helm/value-flags.ts";

/** What install and upgrade have in common. Only what is given becomes a value. */
const TEXTS = [
  "kubeconfig",
  "context",
  "linkerd-namespace",
  "output",
  "controller-log-level",
  "controller-replicas",
  "controller-uid",
  "controller-gid",
  "control-plane-version",
  "identity-issuance-lifetime",
  "identity-clock-skew-allowance",
  "identity-issuer-certificate-file",
  "identity-issuer-key-file",
  "identity-trust-anchors-file",
  "proxy-image",
  "proxy-version",
  "image-pull-policy",
  "inbound-port",
  "outbound-port",
  "control-port",
  "admin-port",
  "skip-inbound-ports",
  "skip-outbound-ports",
  "proxy-uid",
  "proxy-gid",
  "proxy-log-level",
  "proxy-cpu",
  "proxy-memory",
  "proxy-cpu-request",
  "proxy-cpu-limit",
  "proxy-memory-request",
  "proxy-memory-limit",
  "default-inbound-policy",
  "registry",
] as const;
const LISTS = ["set", "set-string", "set-file", "values"] as const;
const SWITCHES = [
  "crds",
  "ha",
  "linkerd-cni-enabled",
  "disable-h2-upgrade",
  "disable-heartbeat",
  "enable-endpoint-slices",
  "enable-external-profiles",
] as const;
/** Only at the first installation: a mesh cannot change them while it runs. */
const INSTALL_TEXTS = ["cluster-domain", "identity-trust-domain"] as const;
const INSTALL_SWITCHES = [
  "ignore-cluster",
  "identity-external-issuer",
  "identity-external-ca",
] as const;
const UPGRADE_TEXTS = ["from-manifests"] as const;
const UPGRADE_SWITCHES = ["force", "take-over"] as const;

const SHORT: Readonly<Record<string, string>> = {
  "linkerd-namespace": "L",
  output: "o",
  values: "f",
  "proxy-version": "v",
};

type TextName =
  | (typeof TEXTS)[number]
  | (typeof INSTALL_TEXTS)[number]
  | (typeof UPGRADE_TEXTS)[number];
type SwitchName =
  | (typeof SWITCHES)[number]
  | (typeof INSTALL_SWITCHES)[number]
  | (typeof UPGRADE_SWITCHES)[number];

export type ValueFlags = { readonly [Name in TextName]?: string } & {
  readonly [Name in SwitchName]?: boolean;
} & { readonly [Name in (typeof LISTS)[number]]?: readonly string[] };

/** @throws UsageError, or what `parseArgs` throws. */
export function parseFlags(command: "install" | "upgrade", args: readonly string[]): ValueFlags {
  const isInstall = command === "install";
  const options: Record<
    string,
    { type: "string" | "boolean"; short?: string; multiple?: boolean }
  > = {};
  const short = (name: string): { short?: string } => {
    const letter = SHORT[name];
    return letter === undefined ? {} : { short: letter };
  };
  for (const name of [...TEXTS, ...(isInstall ? INSTALL_TEXTS : UPGRADE_TEXTS)]) {
    options[name] = { type: "string", ...short(name) };
  }
  for (const name of LISTS) options[name] = { type: "string", multiple: true, ...short(name) };
  for (const name of [...SWITCHES, ...(isInstall ? INSTALL_SWITCHES : UPGRADE_SWITCHES)]) {
    options[name] = { type: "boolean" };
  }
  return parseArgs({ args: goArgs(args, options), options, allowNegative: true })
    .values as ValueFlags;
}

/** For usages. */
export const VALUE_USAGE =
  "[--crds] [--ha] [--set KEY=VALUE]… [--set-string KEY=VALUE]… [--set-file KEY=FILE]… [-f|--values FILE|URL]… [-o yaml|json] [-L NAMESPACE], and Linkerd's flags for single values: --controller-replicas, --proxy-cpu-request, …";

/** `under` as the flags for single values change it. */
export function withFlags(under: Values, flags: ValueFlags, context: CliContext): Values {
  let values = under;
  const put = (path: string, value: unknown): void => {
    if (value === undefined) return;
    const nested = path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
    values = overlay(values, nested as Values);
  };
  const number = (name: keyof ValueFlags): number | undefined => {
    const text = flags[name];
    if (text === undefined) return undefined;
    if (!/^-?\d{1,10}$/.test(String(text))) {
      throw new UsageError(`--${name} takes a whole number, not "${String(text)}"`);
    }
    return Number(text);
  };
  const isOff = (flag: boolean | undefined): boolean | undefined =>
    flag === undefined ? undefined : !flag;
  put("cniEnabled", flags["linkerd-cni-enabled"]);
  put("controllerLogLevel", flags["controller-log-level"]);
  put("controllerReplicas", number("controller-replicas"));
  put("controllerUID", number("controller-uid"));
  put("controllerGID", number("controller-gid"));
  put("enableH2Upgrade", isOff(flags["disable-h2-upgrade"]));
  put("disableHeartBeat", flags["disable-heartbeat"]);
  put("enableEndpointSlices", flags["enable-endpoint-slices"]);
  put("linkerdVersion", flags["control-plane-version"]);
  put("clusterDomain", flags["cluster-domain"]);
  put("identityTrustDomain", flags["identity-trust-domain"]);
  put("identity.externalCA", flags["identity-external-ca"] === true ? true : undefined);
  const scheme = flags["identity-external-issuer"] === true ? "kubernetes.io/tls" : undefined;
  put("identity.issuer.scheme", scheme);
  put("identity.issuer.issuanceLifetime", flags["identity-issuance-lifetime"]);
  put("identity.issuer.clockSkewAllowance", flags["identity-clock-skew-allowance"]);
  put("imagePullPolicy", flags["image-pull-policy"]);
  put("proxyInit.ignoreInboundPorts", flags["skip-inbound-ports"]);
  put("proxyInit.ignoreOutboundPorts", flags["skip-outbound-ports"]);
  for (const name of ["inbound", "outbound", "control", "admin"] as const) {
    put(`proxy.ports.${name}`, number(`${name}-port`));
  }
  putRegistry(put, flags.registry ?? context.env("LINKERD_DOCKER_REGISTRY"), values);
  put("proxy.image.name", flags["proxy-image"]);
  put("proxy.image.version", flags["proxy-version"]);
  put("proxy.uid", number("proxy-uid"));
  put("proxy.gid", number("proxy-gid"));
  put("proxy.logLevel", flags["proxy-log-level"]);
  put("proxy.enableExternalProfiles", flags["enable-external-profiles"]);
  put("proxy.defaultInboundPolicy", flags["default-inbound-policy"]);
  putResources(put, flags);
  put("identityTrustAnchorsPEM", readOptional(flags["identity-trust-anchors-file"]));
  put("identity.issuer.tls.crtPEM", readOptional(flags["identity-issuer-certificate-file"]));
  put("identity.issuer.tls.keyPEM", readOptional(flags["identity-issuer-key-file"]));
  return values;
}

type Put = (path: string, value: unknown) => void;

/** Workers follow the processor, as they do for a pod's annotations. */
function putResources(put: Put, flags: ValueFlags): void {
  const request = flags["proxy-cpu-request"] ?? flags["proxy-cpu"];
  const limit = flags["proxy-cpu-limit"];
  const cores = (flag: string, text: string | undefined): number | undefined =>
    text === undefined ? undefined : attempt(`use --${flag}`, () => wholeCores(text));
  put("proxy.resources.cpu.request", request);
  put("proxy.runtime.workers.minimum", cores("proxy-cpu-request", request));
  put("proxy.resources.cpu.limit", limit);
  put("proxy.runtime.workers.maximum", cores("proxy-cpu-limit", limit));
  put("proxy.resources.memory.request", flags["proxy-memory-request"] ?? flags["proxy-memory"]);
  put("proxy.resources.memory.limit", flags["proxy-memory-limit"]);
}

/** The last part of each image's name stays. */
function putRegistry(put: Put, registry: string | undefined, values: Values): void {
  if (registry === undefined || registry === "") return;
  const moved = (name: unknown): string => `${registry}/${String(name).split("/").at(-1)!}`;
  const proxy = values["proxy"] as { readonly image: { readonly name: string } };
  const debug = values["debugContainer"] as { readonly image: { readonly name: string } };
  put("controllerImage", moved(values["controllerImage"]));
  put("proxy.image.name", moved(proxy.image.name));
  put("debugContainer.image.name", moved(debug.image.name));
}

function readOptional(path: string | undefined): string | undefined {
  return path === undefined ? undefined : readText(path);
}
