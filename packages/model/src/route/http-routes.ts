import { compilePattern, type Pattern } from "@heddle/model/pattern";
import {
  compileField,
  compileHeader,
  type FieldMatch,
  type FieldMatcher,
  headerMatches,
  queryMatches,
} from "@heddle/model/route/fields";
import { ANY_HOST, type HostMatch, HostMatcher, hostOf, NO_HOST } from "@heddle/model/route/host";
import { pathEnd, type RouteRequest } from "@heddle/model/route/request";

export type PathMatch =
  | { readonly kind: "exact"; readonly path: string }
  | { readonly kind: "prefix"; readonly prefix: string }
  | { readonly kind: "regex"; readonly pattern: string };

/** All of it must hold. What is left out holds always. */
export interface HttpMatch {
  readonly path?: PathMatch;
  readonly headers?: readonly FieldMatch[];
  readonly queryParams?: readonly FieldMatch[];
  readonly method?: string;
}

/** @typeParam T - What the caller wants to find: a rule's filters and backends. */
export interface HttpRule<T> {
  /** Any of them; none of them written means every request. */
  readonly matches: readonly HttpMatch[];
  readonly value: T;
}

export interface HttpRoute<T> {
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly HttpRule<T>[];
}

/** One match of one rule. Made when routes are compiled, never per request. */
export interface HttpFound<T> {
  readonly value: T;
  /**
   * How much of the path a prefix match took, which a redirect may replace; undefined if the path
   * was matched otherwise.
   */
  readonly prefixLength: number | undefined;
}

/** Of two matches with the same path length, more headers win, then more parameters, then a method. */
const PER_HEADER = 1 << 20;
const PER_PARAMETER = 2;

/** The routes of a policy, ready to be asked. */
export class HttpRoutes<T> {
  readonly #routes: readonly CompiledRoute<T>[];
  readonly #anyHost: boolean;

  /** @throws SyntaxError on a pattern that does not compile, an empty name, a relative path. */
  constructor(routes: readonly HttpRoute<T>[]) {
    this.#routes = routes.map((route) => new CompiledRoute(route));
    this.#anyHost = routes.every((route) => route.hosts.length === 0);
  }

  /**
   * The best match: by host, then path length, number of headers, number of parameters, method;
   * the first in the list among equals. Hot: allocates nothing, unless hosts are asked for.
   */
  find(request: RouteRequest): HttpFound<T> | undefined {
    const host = this.#anyHost
      ? ""
      : hostOf(request.authority || request.headers.get("host") || "");
    const end = pathEnd(request.path);
    let found: CompiledMatch<T> | undefined;
    let bestHost = NO_HOST;
    let bestPath = -1;
    for (let r = 0; r < this.#routes.length; r++) {
      const { hosts, matches } = this.#routes[r]!;
      const hostRank = hosts === undefined ? ANY_HOST : hosts.rank(host);
      if (hostRank === NO_HOST || hostRank < bestHost) continue;
      for (let m = 0; m < matches.length; m++) {
        const match = matches[m]!;
        const pathRank = match.pathRank(request.path, end);
        if (pathRank < 0) continue;
        if (hostRank === bestHost) {
          if (pathRank < bestPath) continue;
          if (pathRank === bestPath && match.weight <= found!.weight) continue;
        }
        if (!match.restMatches(request, end)) continue;
        found = match;
        bestHost = hostRank;
        bestPath = pathRank;
      }
    }
    return found;
  }
}

class CompiledRoute<T> {
  readonly hosts: HostMatcher | undefined;
  readonly matches: readonly CompiledMatch<T>[];

  constructor(route: HttpRoute<T>) {
    this.hosts = route.hosts.length === 0 ? undefined : new HostMatcher(route.hosts);
    this.matches = route.rules.flatMap((rule) =>
      (rule.matches.length === 0 ? [{}] : rule.matches).map(
        (match) => new CompiledMatch(match, rule.value),
      ),
    );
  }
}

class CompiledMatch<T> implements HttpFound<T> {
  readonly value: T;
  readonly prefixLength: number | undefined;
  readonly weight: number;
  /** The exact path, or the prefix without its trailing slashes: `/` is empty, and matches all. */
  readonly #literal: string;
  readonly #isExact: boolean;
  /** The literal's last character. */
  readonly #last: number;
  readonly #pattern: Pattern | undefined;
  readonly #method: string | undefined;
  readonly #headers: readonly FieldMatcher[];
  readonly #parameters: readonly FieldMatcher[];

  constructor(match: HttpMatch, value: T) {
    const path: PathMatch = match.path ?? { kind: "prefix", prefix: "/" };
    this.value = value;
    this.#isExact = path.kind === "exact";
    this.#literal = literalOf(path);
    this.#last = this.#literal.charCodeAt(this.#literal.length - 1);
    this.#pattern = path.kind === "regex" ? compilePattern(path.pattern) : undefined;
    this.prefixLength = path.kind === "prefix" ? this.#literal.length : undefined;
    this.#method = match.method;
    this.#headers = (match.headers ?? []).map(compileHeader);
    this.#parameters = (match.queryParams ?? []).map(compileField);
    this.weight =
      this.#headers.length * PER_HEADER +
      this.#parameters.length * PER_PARAMETER +
      (this.#method === undefined ? 0 : 1);
  }

  /** The length of the path that is matched, or -1. `end` is where the path ends. */
  pathRank(path: string, end: number): number {
    if (this.#pattern !== undefined) {
      return this.#pattern.matches(end === path.length ? path : path.slice(0, end)) ? end : -1;
    }
    const literal = this.#literal;
    const { length } = literal;
    if (length === 0 && !this.#isExact) return 1;
    // The cheap checks first: of many routes most end here.
    if (end !== length && (this.#isExact || path.charCodeAt(length) !== 0x2f)) return -1;
    if (end < length || path.charCodeAt(length - 1) !== this.#last) return -1;
    return path.startsWith(literal) ? length : -1;
  }

  restMatches(request: RouteRequest, end: number): boolean {
    if (this.#method !== undefined && this.#method !== request.method) return false;
    for (let i = 0; i < this.#headers.length; i++) {
      if (!headerMatches(this.#headers[i]!, request.headers)) return false;
    }
    for (let i = 0; i < this.#parameters.length; i++) {
      if (!queryMatches(this.#parameters[i]!, request.path, end + 1)) return false;
    }
    return true;
  }
}

function literalOf(path: PathMatch): string {
  if (path.kind === "exact") return path.path;
  if (path.kind === "regex") return "";
  const { prefix } = path;
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === 0x2f) end--;
  return prefix.slice(0, end);
}
