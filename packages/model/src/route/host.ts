import { hostEnd } from "@heddle/model/socket-address";

/** A host or SNI that a route is for. */
export type HostMatch =
  | { readonly kind: "exact"; readonly name: string }
  /** `*.example.com` is `["com", "example"]`. */
  | { readonly kind: "suffix"; readonly reverseLabels: readonly string[] };

/** Reads `*.example.com` or `example.com`, as routes in the API write them. */
export function parseHostMatch(text: string): HostMatch {
  if (text === "*") return { kind: "suffix", reverseLabels: [] };
  if (!text.startsWith("*.")) return { kind: "exact", name: text };
  return { kind: "suffix", reverseLabels: text.slice(2).split(".").reverse() };
}

/** The host of an authority in lower case, without port. A trailing dot stays. Hot. */
export function hostOf(authority: string): string {
  const end = hostEnd(authority);
  const host = end === authority.length ? authority : authority.slice(0, end);
  for (let i = 0; i < end; i++) {
    const code = host.charCodeAt(i);
    // Nearly never: then it is worth a copy.
    if ((code >= 0x41 && code <= 0x5a) || code > 0x7e) return host.toLowerCase();
  }
  return host;
}

/** No host was asked for: less than any match, more than none. */
export const ANY_HOST = 0;
export const NO_HOST: number = -1;
/** Exact matches rank above all suffixes; names are far shorter than this. */
const EXACT = 1 << 20;

/** The hosts of one route, of which the best counts. */
export class HostMatcher {
  readonly #exact: readonly { readonly name: string; readonly dotted: boolean }[];
  /** `.example.com`; `""` where any name will do. */
  readonly #suffixes: readonly string[];

  constructor(hosts: readonly HostMatch[]) {
    const exact: { name: string; dotted: boolean }[] = [];
    const suffixes: string[] = [];
    for (const host of hosts) {
      if (host.kind === "exact") {
        exact.push({ name: host.name.toLowerCase(), dotted: host.name.endsWith(".") });
      } else if (host.reverseLabels.length === 0) {
        suffixes.push("");
      } else {
        suffixes.push(`.${host.reverseLabels.toReversed().join(".").toLowerCase()}`);
      }
    }
    this.#exact = exact;
    this.#suffixes = suffixes;
  }

  /**
   * Hot: allocates only for a name with a trailing dot.
   *
   * @param host - In lower case, without port.
   * @returns a rank, higher for a better match; `NO_HOST` if none matches, `ANY_HOST` if there is
   *   nothing to match.
   */
  rank(host: string): number {
    if (this.#exact.length === 0 && this.#suffixes.length === 0) return ANY_HOST;
    const dotted = host.charCodeAt(host.length - 1) === 0x2e;
    const bare = dotted ? host.slice(0, -1) : host;
    let best = NO_HOST;
    for (let i = 0; i < this.#exact.length; i++) {
      const { name, dotted: wantsDot } = this.#exact[i]!;
      if ((wantsDot ? host : bare) !== name) continue;
      const rank = EXACT + name.length;
      if (rank > best) best = rank;
    }
    for (let i = 0; i < this.#suffixes.length; i++) {
      const suffix = this.#suffixes[i]!;
      const labelled = suffix === "" ? bare !== "" : isBelow(bare, suffix);
      if (labelled && 1 + suffix.length > best) best = 1 + suffix.length;
    }
    return best;
  }
}

/** Whether something that is a label stands before the suffix. */
function isBelow(name: string, suffix: string): boolean {
  if (name.length <= suffix.length || !name.endsWith(suffix)) return false;
  return name.charCodeAt(name.length - suffix.length - 1) !== 0x2e;
}
