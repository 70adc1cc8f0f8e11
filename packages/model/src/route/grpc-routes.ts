import {
  compileHeader,
  type FieldMatch,
  type FieldMatcher,
  headerMatches,
} from "@heddle/model/route/fields";
import { ANY_HOST, type HostMatch, HostMatcher, hostOf, NO_HOST } from "@heddle/model/route/host";
import { pathEnd, type RouteRequest } from "@heddle/model/route/request";

/** All of it must hold; an empty or absent name is any. */
export interface GrpcMatch {
  readonly service?: string;
  readonly method?: string;
  readonly headers?: readonly FieldMatch[];
}

export interface GrpcRule<T> {
  /** Any of them; none of them written means every RPC. */
  readonly matches: readonly GrpcMatch[];
  readonly value: T;
}

export interface GrpcRoute<T> {
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly GrpcRule<T>[];
}

/** One match of one rule; made when routes are compiled. */
export interface GrpcFound<T> {
  readonly value: T;
}

/** The gRPC routes of a policy. A request that is no RPC, by method or path, matches none. */
export class GrpcRoutes<T> {
  readonly #routes: readonly CompiledRoute<T>[];
  readonly #anyHost: boolean;

  /** @throws SyntaxError on a pattern that does not compile. */
  constructor(routes: readonly GrpcRoute<T>[]) {
    this.#routes = routes.map((route) => new CompiledRoute(route));
    this.#anyHost = routes.every((route) => route.hosts.length === 0);
  }

  /**
   * The best match: by host, then length of the service's name, of the method's, number of headers;
   * the first among equals. Hot: allocates nothing, unless hosts are asked for.
   */
  find(request: RouteRequest): GrpcFound<T> | undefined {
    const { path } = request;
    const end = pathEnd(path);
    const slash = path.indexOf("/", 1);
    // "/service/method", and nothing after it.
    if (request.method !== "POST" || path.charCodeAt(0) !== 0x2f) return undefined;
    if (slash <= 1 || slash >= end - 1) return undefined;
    const third = path.indexOf("/", slash + 1);
    if (third >= 0 && third < end) return undefined;
    const host = this.#anyHost
      ? ""
      : hostOf(request.authority || request.headers.get("host") || "");
    let found: CompiledMatch<T> | undefined;
    let bestHost = NO_HOST;
    for (let r = 0; r < this.#routes.length; r++) {
      const { hosts, matches } = this.#routes[r]!;
      const hostRank = hosts === undefined ? ANY_HOST : hosts.rank(host);
      if (hostRank === NO_HOST || hostRank < bestHost) continue;
      for (let m = 0; m < matches.length; m++) {
        const match = matches[m]!;
        if (hostRank === bestHost && !match.beats(found!)) continue;
        if (!match.matches(request, slash, end)) continue;
        found = match;
        bestHost = hostRank;
      }
    }
    return found;
  }
}

class CompiledRoute<T> {
  readonly hosts: HostMatcher | undefined;
  readonly matches: readonly CompiledMatch<T>[];

  constructor(route: GrpcRoute<T>) {
    this.hosts = route.hosts.length === 0 ? undefined : new HostMatcher(route.hosts);
    this.matches = route.rules.flatMap((rule) =>
      (rule.matches.length === 0 ? [{}] : rule.matches).map(
        (match) => new CompiledMatch(match, rule.value),
      ),
    );
  }
}

class CompiledMatch<T> implements GrpcFound<T> {
  readonly value: T;
  readonly #service: string;
  readonly #method: string;
  readonly #headers: readonly FieldMatcher[];

  constructor(match: GrpcMatch, value: T) {
    this.value = value;
    this.#service = match.service ?? "";
    this.#method = match.method ?? "";
    this.#headers = (match.headers ?? []).map(compileHeader);
  }

  /** All that ranks a gRPC match is known beforehand: what is matched is matched whole. */
  beats(other: CompiledMatch<T>): boolean {
    const service = this.#service.length - other.#service.length;
    if (service !== 0) return service > 0;
    const method = this.#method.length - other.#method.length;
    if (method !== 0) return method > 0;
    return this.#headers.length > other.#headers.length;
  }

  /** `slash` stands between service and method; `end` is where the path ends. */
  matches(request: RouteRequest, slash: number, end: number): boolean {
    const service = this.#service;
    const method = this.#method;
    const { path } = request;
    if (service !== "" && (slash - 1 !== service.length || !path.startsWith(service, 1))) {
      return false;
    }
    if (
      method !== "" &&
      (end - slash - 1 !== method.length || !path.startsWith(method, slash + 1))
    ) {
      return false;
    }
    for (let i = 0; i < this.#headers.length; i++) {
      if (!headerMatches(this.#headers[i]!, request.headers)) return false;
    }
    return true;
  }
}
