import { parseDnsName } from "@heddle/model/dns-name";

/**
 * A peer's name as its certificate proves it: a DNS name, or a SPIFFE id, which alone contains
 * `://`. Kept as text, since that is what policies name, metrics print and headers carry.
 */
export type TlsId = string;

export interface SpiffeId {
  readonly trustDomain: string;
  /** Empty, or segments that each follow a slash. */
  readonly path: string;
}

const SPIFFE_SCHEME = "spiffe://";
/** SPIFFE-ID section 2: at most 2048 bytes, of which the trust domain at most 255. */
const MAX_SPIFFE_BYTES = 2048;
const MAX_TRUST_DOMAIN_BYTES = 255;

export function isSpiffeId(id: TlsId): boolean {
  return id.startsWith(SPIFFE_SCHEME);
}

/** Undefined if `text` is no SPIFFE id: query, fragment, port, user or empty segment included. */
export function parseSpiffeId(text: string): SpiffeId | undefined {
  if (!isSpiffeId(text) || text.length > MAX_SPIFFE_BYTES) return undefined;
  const slash = text.indexOf("/", SPIFFE_SCHEME.length);
  const trustDomain = text.slice(SPIFFE_SCHEME.length, slash < 0 ? undefined : slash);
  const path = slash < 0 ? "" : text.slice(slash);
  if (!isTrustDomain(trustDomain)) return undefined;
  if (path !== "" && !path.slice(1).split("/").every(isSegment)) return undefined;
  return { trustDomain, path };
}

/** The trust domain of a SPIFFE id, or undefined if it is none. */
export function trustDomainOf(id: TlsId): string | undefined {
  return parseSpiffeId(id)?.trustDomain;
}

export function isTrustDomain(text: string): boolean {
  return text.length <= MAX_TRUST_DOMAIN_BYTES && /^[a-z0-9._-]+$/.test(text);
}

function isSegment(segment: string): boolean {
  return /^[a-zA-Z0-9._-]+$/.test(segment) && segment !== "." && segment !== "..";
}

/** The id of a machine outside Kubernetes. Its parts are object names, hence valid segments. */
export function externalWorkloadId(trustDomain: string, namespace: string, name: string): TlsId {
  return `${SPIFFE_SCHEME}${trustDomain}/ns/${namespace}/external/${name}`;
}

/** The DNS name that a pod's certificate carries. */
export function serviceAccountId(
  name: string,
  namespace: string,
  controlNamespace: string,
  identityDomain: string,
): TlsId {
  return `${name}.${namespace}.serviceaccount.identity.${controlNamespace}.${identityDomain}`;
}

/** A DNS name in lower case without trailing dot, or a SPIFFE id as it is; undefined for neither. */
export function parseTlsId(text: string): TlsId | undefined {
  if (isSpiffeId(text)) return parseSpiffeId(text) === undefined ? undefined : text;
  return parseDnsName(text);
}

/**
 * What a policy says of identities: names, suffixes of DNS names, and (an extension of ours) whole
 * trust domains of SPIFFE ids, which no suffix matches.
 */
export class IdentityMatch {
  readonly #names: ReadonlySet<TlsId>;
  /** With their leading dot: `.ns.svc`; `""` is any DNS name. */
  readonly #suffixes: readonly string[];
  readonly #trustDomains: ReadonlySet<string>;

  /** @param suffixes - Parts in natural order: `*.a.b` is `["a", "b"]`, any name is `[]`. */
  constructor(
    names: Iterable<TlsId>,
    suffixes: readonly (readonly string[])[],
    trustDomains: Iterable<string> = [],
  ) {
    this.#names = new Set(names);
    this.#suffixes = suffixes.map((parts) => (parts.length === 0 ? "" : `.${parts.join(".")}`));
    this.#trustDomains = new Set(trustDomains);
  }

  /** Hot for DNS names: allocates nothing. */
  matches(id: TlsId): boolean {
    if (this.#names.has(id)) return true;
    if (isSpiffeId(id)) {
      if (this.#trustDomains.size === 0) return false;
      const parsed = parseSpiffeId(id);
      // An id without a path names the trust domain itself, and no workload of it.
      return (
        parsed !== undefined && parsed.path !== "" && this.#trustDomains.has(parsed.trustDomain)
      );
    }
    const suffixes = this.#suffixes;
    for (let i = 0; i < suffixes.length; i++) {
      const suffix = suffixes[i]!;
      // A suffix wants at least one more label before it.
      if (suffix === "" || (id.length > suffix.length && id.endsWith(suffix))) return true;
    }
    return false;
  }
}
