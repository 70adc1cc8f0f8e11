import { parseGoDuration } from "@heddle/model/go-duration";
import { parseNetwork } from "@heddle/model/network";
import { parseQuantity } from "@heddle/model/quantity";
import type { Values } from "./helm/set-values.ts";

export interface InstallFacts {
  readonly scheme: string;
  readonly isExternalCa: boolean;
  readonly trustDomain: string;
  /** linkerd-init runs as root. */
  readonly isInitRoot: boolean;
  /** What of an issuer the values hold already; empty where they hold none. */
  readonly given: {
    readonly anchors: string;
    readonly certificate: string;
    readonly key: string;
  };
}

const DOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const PROXY_LOG = /^(?:(?:[\w:]+=)?(?:trace|debug|warn|info|error|off)|[\w:]+)$/;
const PORT_LISTS = [
  "proxyInit.ignoreInboundPorts",
  "proxyInit.ignoreOutboundPorts",
  "proxyInit.kubeAPIServerPorts",
];
const DURATIONS = [
  "identity.issuer.issuanceLifetime",
  "identity.issuer.clockSkewAllowance",
  "proxy.outboundConnectTimeout",
  "proxy.inboundConnectTimeout",
  "proxy.outboundDiscoveryCacheUnusedTimeout",
  "proxy.inboundDiscoveryCacheUnusedTimeout",
];
const RESOURCES = [
  "proxy.resources",
  ...["controller", "destination", "identity", "proxyInjector", "spValidator"].map(
    (part) => `${part}Resources`,
  ),
  ...["destination", "identity", "proxyInjector"].map((part) => `${part}ProxyResources`),
  "policyController.resources",
];

/**
 * Holds the control plane's values to what it can run with, beyond what their schema says.
 *
 * @throws SyntaxError that names the value and what it may be.
 */
export function checkInstallValues(values: Values): InstallFacts {
  matches(values, "linkerdVersion", /^[.a-zA-Z0-9-]+$/, "a version");
  matches(values, "clusterDomain", DOMAIN, "a lower-case domain");
  const trustDomain = text(values, "identityTrustDomain") || text(values, "clusterDomain");
  if (trustDomain.length > 253 || !DOMAIN.test(trustDomain)) {
    throw wrong("identityTrustDomain", trustDomain, "a lower-case domain");
  }
  checkNetworks(values);
  for (const path of PORT_LISTS) checkPorts(path, text(values, path));
  for (const path of DURATIONS) checkDuration(path, text(values, path));
  for (const path of RESOURCES) checkResources(path, at(values, path));
  for (const filter of text(values, "proxy.logLevel").split(",")) {
    if (PROXY_LOG.test(filter)) continue;
    throw wrong("proxy.logLevel", filter, "a list of levels, modules and module=level");
  }
  return {
    scheme: text(values, "identity.issuer.scheme"),
    isExternalCa: at(values, "identity.externalCA") === true,
    isInitRoot: at(values, "proxyInit.runAsRoot") === true,
    trustDomain,
    given: {
      anchors: text(values, "identityTrustAnchorsPEM"),
      certificate: text(values, "identity.issuer.tls.crtPEM"),
      key: text(values, "identity.issuer.tls.keyPEM"),
    },
  };
}

function checkNetworks(values: Values): void {
  for (const network of text(values, "clusterNetworks").split(",")) {
    try {
      // Without a length it would be one address, which is no network of a cluster.
      if (!network.includes("/")) throw new SyntaxError("no prefix length");
      parseNetwork(network);
    } catch {
      // The parser's words would hide which value it is.
      throw wrong("clusterNetworks", network, "a list of CIDR networks");
    }
  }
}

function checkPorts(path: string, list: string): void {
  if (list === "") return;
  for (const range of list.split(",")) {
    const [, first = "", last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range.trim()) ?? [];
    if (first !== "" && Number(last) <= 65_535 && Number(first) <= Number(last)) continue;
    throw wrong(path, range, "a list of ports and ranges such as 25,4567-4568");
  }
}

function checkDuration(path: string, duration: string): void {
  try {
    if (parseGoDuration(duration) < 0) throw new SyntaxError("negative");
  } catch {
    throw wrong(path, duration, "a duration such as 24h or 1m30s");
  }
}

function checkResources(path: string, resources: unknown): void {
  for (const [name, value] of Object.entries((resources ?? {}) as Values)) {
    const amounts = (value ?? {}) as Values;
    const request = quantity(`${path}.${name}.request`, amounts["request"]);
    const limit = quantity(`${path}.${name}.limit`, amounts["limit"]);
    if (request === undefined || limit === undefined || limit >= request) continue;
    const least = `at least the request, ${String(amounts["request"])}`;
    throw wrong(`${path}.${name}.limit`, String(amounts["limit"]), least);
  }
}

function quantity(path: string, value: unknown): number | undefined {
  if (value === undefined || value === "") return undefined;
  try {
    return parseQuantity(String(value));
  } catch {
    throw wrong(path, String(value), "a quantity such as 100m or 250Mi");
  }
}

function matches(values: Values, path: string, pattern: RegExp, what: string): void {
  const found = text(values, path);
  if (!pattern.test(found)) throw wrong(path, found, what);
}

/** Ports and counts may be written as numbers. */
function text(values: Values, path: string): string {
  const found = at(values, path) ?? "";
  if (typeof found === "string" || typeof found === "number") return String(found);
  throw wrong(path, JSON.stringify(found), "text");
}

function at(values: Values, path: string): unknown {
  let found: unknown = values;
  for (const key of path.split(".")) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Object.hasOwn(found, key) ? (found as Values)[key] : undefined;
  }
  return found;
}

function wrong(path: string, found: string, expected: string): SyntaxError {
  return new SyntaxError(`${path} is "${found}"; it must be ${expected}`);
}
