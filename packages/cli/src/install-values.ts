import { parseNetwork } from "@heddle/model/network";
import type { Values } from "./helm/set-values.ts";

export interface InstallFacts {
  readonly scheme: string;
  readonly isExternalCa: boolean;
  readonly trustDomain: string;
  /** What of an issuer the values hold already; empty where they hold none. */
  readonly given: {
    readonly anchors: string;
    readonly certificate: string;
    readonly key: string;
  };
}

/**
 * Holds values to those that a chart has: a value that no template reads, or of another type, is a
 * slip that would go unnoticed. Maps that are empty in the chart may hold anything.
 *
 * @throws SyntaxError that names the value.
 */
export function checkKnown(values: Values, chart: Values, path = ""): void {
  for (const [key, value] of Object.entries(values)) {
    const at = path === "" ? key : `${path}.${key}`;
    if (!Object.hasOwn(chart, key)) throw new SyntaxError(`the chart has no value ${at}`);
    const known = chart[key];
    // `25` and `1` are ports and counts as well as text.
    const isNumberAsText = typeof value === "number" && typeof known === "string";
    if (typeOf(value) !== typeOf(known) && !isNumberAsText) {
      throw wrong(at, typeof value === "string" ? value : JSON.stringify(value), typeOf(known));
    }
    const isClosed = typeOf(known) === "a map" && Object.keys(known as Values).length > 0;
    if (isClosed && !OPEN_MAPS.has(at)) checkKnown(value as Values, known as Values, at);
  }
}

/** Labels of nodes are anybody's. */
const OPEN_MAPS: ReadonlySet<string> = new Set(["nodeSelector"]);

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a map";
  return typeof value === "string" ? "text" : `a ${typeof value}`;
}

const DOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LOG_LEVELS = ["panic", "fatal", "error", "warn", "info", "debug", "trace"];
const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const SCHEMES = ["linkerd.io/tls", "kubernetes.io/tls"];
const POLICIES = [
  "all-authenticated",
  "all-unauthenticated",
  "cluster-authenticated",
  "cluster-unauthenticated",
  "deny",
  "audit",
];

/**
 * Holds the control plane's values to what it can run with.
 *
 * @throws SyntaxError that names the value and what it may be.
 */
export function checkInstallValues(values: Values): InstallFacts {
  matches(values, "linkerdVersion", /^[.a-zA-Z0-9-]+$/, "a version");
  oneOf(values, "controllerLogLevel", LOG_LEVELS);
  oneOf(values, "imagePullPolicy", PULL_POLICIES);
  oneOf(values, "proxy.defaultInboundPolicy", POLICIES);
  matches(values, "clusterDomain", DOMAIN, "a lower-case domain");
  const trustDomain = text(values, "identityTrustDomain") || text(values, "clusterDomain");
  if (trustDomain.length > 253 || !DOMAIN.test(trustDomain)) {
    throw wrong("identityTrustDomain", trustDomain, "a lower-case domain");
  }
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
  return {
    scheme: oneOf(values, "identity.issuer.scheme", SCHEMES),
    isExternalCa: at(values, "identity.externalCA") === true,
    trustDomain,
    given: {
      anchors: text(values, "identityTrustAnchorsPEM"),
      certificate: text(values, "identity.issuer.tls.crtPEM"),
      key: text(values, "identity.issuer.tls.keyPEM"),
    },
  };
}

function oneOf(values: Values, path: string, allowed: readonly string[]): string {
  const found = text(values, path);
  if (!allowed.includes(found)) throw wrong(path, found, `one of ${allowed.join(", ")}`);
  return found;
}

function matches(values: Values, path: string, pattern: RegExp, what: string): void {
  const found = text(values, path);
  if (!pattern.test(found)) throw wrong(path, found, what);
}

function text(values: Values, path: string): string {
  const found = at(values, path) ?? "";
  if (typeof found !== "string") throw wrong(path, JSON.stringify(found), "text");
  return found;
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
