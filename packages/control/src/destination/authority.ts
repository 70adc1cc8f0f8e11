import { parseIp } from "@heddle/model/network";

/** What a `GetDestination.path` names. */
export interface Authority {
  readonly host: string;
  readonly port: number;
  readonly isIp: boolean;
}

/** A name in the cluster: a Service, or one of its pods by hostname. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string | undefined;
}

/** What a proxy says of itself with each request. */
export interface ContextToken {
  readonly namespace: string | undefined;
  readonly nodeName: string | undefined;
  readonly pod: string | undefined;
}

/** Takes `host[:port]` with an IPv6 host in brackets; port 80 if there is none. */
export function parseAuthority(text: string): Authority | undefined {
  if (text === "" || text.length > 512) return undefined;
  let host = text;
  let port = 80;
  const bracket = text.startsWith("[") ? text.indexOf("]") : -1;
  const colon = text.indexOf(":", Math.max(bracket, 0));
  if (colon >= 0) {
    const digits = text.slice(colon + 1);
    if (!/^\d{1,5}$/.test(digits)) return undefined;
    port = Number(digits);
    if (port < 1 || port > 65_535) return undefined;
    host = text.slice(0, colon);
  }
  if (host.startsWith("[")) {
    if (!host.endsWith("]")) return undefined;
    host = host.slice(1, -1);
    return parseIp(host) === undefined ? undefined : { host, port, isIp: true };
  }
  if (host === "") return undefined;
  return { host, port, isIp: parseIp(host) !== undefined };
}

/** Undefined unless `host` is `[hostname.]service.namespace.svc.<clusterDomain>`, in that case. */
export function parseServiceName(host: string, clusterDomain: string): ServiceName | undefined {
  const suffix = `.svc.${clusterDomain}`;
  if (!host.endsWith(suffix)) return undefined;
  const labels = host.slice(0, -suffix.length).split(".");
  if (labels.some((label) => label === "")) return undefined;
  if (labels.length === 2) return { name: labels[0]!, namespace: labels[1]!, hostname: undefined };
  if (labels.length === 3) {
    return { hostname: labels[0]!, name: labels[1]!, namespace: labels[2]! };
  }
  return undefined;
}

const NO_TOKEN: ContextToken = { namespace: undefined, nodeName: undefined, pod: undefined };

/** Takes JSON, or the old form `ns:NAMESPACE`. Anything else says nothing. */
export function parseContextToken(text: string): ContextToken {
  const trimmed = text.trim();
  if (trimmed === "") return NO_TOKEN;
  if (trimmed.startsWith("ns:")) return { ...NO_TOKEN, namespace: trimmed.slice(3) };
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch {
    // Not ours to refuse: the token only refines the answer.
    return NO_TOKEN;
  }
  if (typeof parsed !== "object" || parsed === null) return NO_TOKEN;
  const { ns, nodeName, pod } = parsed as Readonly<Record<string, unknown>>;
  return { namespace: textOf(ns), nodeName: textOf(nodeName), pod: textOf(pod) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
