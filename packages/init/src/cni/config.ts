import { MeshError } from "@heddle/base/errors";
import { INIT_DEFAULTS, type InitOptions, parseIptablesMode } from "../options.ts";

/** The plugin's share of a network configuration, as `linkerd-cni-config` holds it. */
export interface PluginConfig {
  readonly logLevel: string;
  readonly kubeconfig: string;
  /** What pods get that say nothing of their own. */
  readonly options: InitOptions;
  /** What the plugins before us answered. */
  readonly prevResult: object | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Only a whole configuration counts: half of the rules would be worse than none. */
export function parseConfig(root: unknown): PluginConfig {
  if (!isFields(root)) throw bad("it is no object");
  const linkerd = fields(root, "linkerd");
  const kubernetes = fields(root, "kubernetes");
  const { prevResult } = root;
  if (prevResult !== undefined && prevResult !== null && !isFields(prevResult)) {
    throw bad("prevResult is no object");
  }
  return {
    logLevel: text(root, "log_level"),
    kubeconfig: text(kubernetes, "kubeconfig"),
    options: {
      ...INIT_DEFAULTS,
      incomingProxyPort: number(linkerd, "incoming-proxy-port", -1),
      outgoingProxyPort: number(linkerd, "outgoing-proxy-port", -1),
      proxyUid: number(linkerd, "proxy-uid", -1),
      proxyGid: number(linkerd, "proxy-gid", -1),
      portsToRedirect: list(linkerd, "ports-to-redirect", isNumber),
      inboundPortsToIgnore: list(linkerd, "inbound-ports-to-ignore", isText),
      outboundPortsToIgnore: list(linkerd, "outbound-ports-to-ignore", isText),
      subnetsToIgnore: list(linkerd, "subnets-to-ignore", isText),
      simulate: flag(linkerd, "simulate"),
      useWaitFlag: flag(linkerd, "use-wait-flag"),
      // Configurations older than the flag mean what there was then.
      iptablesMode: parseIptablesMode(text(linkerd, "iptables-mode") || "legacy"),
      ipv6: flag(linkerd, "ipv6"),
    },
    prevResult: prevResult ?? undefined,
  };
}

function fields(from: Fields, name: string): Fields {
  const value = from[name] ?? {};
  if (isFields(value)) return value;
  throw bad(`${name} is no object`);
}

function text(from: Fields, name: string): string {
  const value = from[name] ?? "";
  if (isText(value)) return value;
  throw bad(`${name} is no text`);
}

function number(from: Fields, name: string, fallback: number): number {
  const value = from[name] ?? fallback;
  if (isNumber(value)) return value;
  throw bad(`${name} is no whole number`);
}

function flag(from: Fields, name: string): boolean {
  const value = from[name] ?? false;
  if (typeof value === "boolean") return value;
  throw bad(`${name} is neither true nor false`);
}

function list<T>(from: Fields, name: string, is: (value: unknown) => value is T): readonly T[] {
  const value = from[name] ?? [];
  if (Array.isArray(value) && value.every(is)) return value;
  throw bad(`${name} is not the list that it should be`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return Number.isInteger(value);
}

function bad(state: string): MeshError {
  return new MeshError("cni_config", "client", `Cannot use network configuration: ${state}`);
}
