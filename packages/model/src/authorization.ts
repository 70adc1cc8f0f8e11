import type { IdentityMatch, TlsId } from "@heddle/model/identity";
import type { IpAddress, NetworkMatch } from "@heddle/model/network";

/** What a client must prove. */
export type Authentication =
  | { readonly kind: "unauthenticated" }
  /** TLS that this proxy terminated, with or without a client certificate. */
  | { readonly kind: "tls" }
  | { readonly kind: "identities"; readonly identities: IdentityMatch };

/** @typeParam M - What the caller wants to know of the rule that admitted a client. */
export interface Authorization<M> {
  readonly metadata: M;
  readonly networks: readonly NetworkMatch[];
  readonly authentication: Authentication;
}

/** Made once per connection. */
export interface Client {
  /** The TCP peer's address; IPv4-mapped ones unmapped. */
  readonly ip: IpAddress;
  /** Whether this proxy terminated TLS. */
  readonly tls: boolean;
  /** Proved by its certificate. */
  readonly tlsId: TlsId | undefined;
}

/** The first rule that admits the client; without one it is refused. Hot: allocates nothing. */
export function authorize<M>(
  rules: readonly Authorization<M>[],
  client: Client,
): Authorization<M> | undefined {
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i]!;
    if (inNetworks(rule.networks, client.ip) && authenticated(rule.authentication, client)) {
      return rule;
    }
  }
  return undefined;
}

export function inNetworks(networks: readonly NetworkMatch[], ip: IpAddress): boolean {
  for (let i = 0; i < networks.length; i++) if (networks[i]!.contains(ip)) return true;
  return false;
}

export function authenticated(required: Authentication, client: Client): boolean {
  switch (required.kind) {
    case "unauthenticated":
      return true;
    case "tls":
      return client.tls;
    case "identities":
      return client.tlsId !== undefined && required.identities.matches(client.tlsId);
  }
}
