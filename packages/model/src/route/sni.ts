import { type HostMatch, HostMatcher, NO_HOST } from "@heddle/model/route/host";

export interface SniRoute<T> {
  /** None: the route takes any SNI. */
  readonly snis: readonly HostMatch[];
  readonly value: T;
}

/** Routes of TLS that is not terminated, chosen by SNI: the best match, then the first. */
export class SniRoutes<T> {
  readonly #routes: readonly { readonly matcher: HostMatcher; readonly value: T }[];

  constructor(routes: readonly SniRoute<T>[]) {
    this.#routes = routes.map(({ snis, value }) => ({ matcher: new HostMatcher(snis), value }));
  }

  /** @param sni - As the ClientHello has it; its case does not count. */
  find(sni: string): T | undefined {
    const name = sni.toLowerCase();
    let best = NO_HOST;
    let found: T | undefined;
    for (const { matcher, value } of this.#routes) {
      const rank = matcher.rank(name);
      if (rank <= best) continue;
      best = rank;
      found = value;
    }
    return found;
  }
}
