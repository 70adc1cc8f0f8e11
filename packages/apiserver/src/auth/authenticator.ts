import { createHash, timingSafeEqual } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { unauthorized } from "@heddle/apiserver/status-error";
import type { AccountTokens } from "./account-tokens.ts";
import { ANONYMOUS, AUTHENTICATED_GROUP, type User } from "./user.ts";

/** An opaque bearer token, and whose it is. */
export interface StaticToken {
  readonly token: string;
  readonly user: User;
}

/** Says who a request comes from: by bearer token, or else by client certificate. */
export class Authenticator {
  readonly #static: readonly { readonly digest: Buffer; readonly user: User }[];
  readonly #tokens: AccountTokens;
  readonly #peers = new WeakMap<TLSSocket, User>();
  /** The static token that a connection has used last, so that it is not hashed every time. */
  readonly #proven = new WeakMap<
    TLSSocket,
    { readonly authorization: string; readonly user: User }
  >();

  constructor(tokens: readonly StaticToken[], accounts: AccountTokens) {
    this.#static = tokens.map(({ token, user }) => ({ digest: digestOf(token), user }));
    this.#tokens = accounts;
  }

  /**
   * @param authorization - The header; a wrong one is never overlooked.
   * @throws StatusError 401 on a token that is not good.
   */
  identify(authorization: string | undefined, socket: TLSSocket): User {
    if (authorization === undefined || authorization === "") return this.#peer(socket);
    const proven = this.#proven.get(socket);
    if (proven?.authorization === authorization) return proven.user;
    const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const user = token === undefined ? undefined : this.byToken(token, [this.#tokens.issuer]);
    if (user === undefined) throw unauthorized();
    // Tokens of accounts end; they are judged anew for each request.
    const isStatic = this.#static.some((known) => known.user === user);
    if (isStatic) this.#proven.set(socket, { authorization, user });
    return user;
  }

  /** Whose token this is, for one of these audiences; undefined if nobody's. */
  byToken(token: string, audiences: readonly string[]): User | undefined {
    const digest = digestOf(token);
    // Digests are compared, so that neither time nor length tells anything of the token.
    for (const known of this.#static) if (timingSafeEqual(known.digest, digest)) return known.user;
    const verdict = this.#tokens.judge(token, audiences);
    return verdict.isValid ? verdict.user : undefined;
  }

  /** The name in the client's certificate, if it sent one that our CA has signed. */
  #peer(socket: TLSSocket): User {
    const known = this.#peers.get(socket);
    if (known !== undefined) return known;
    const user = socket.authorized ? certificateUser(socket) : ANONYMOUS;
    this.#peers.set(socket, user);
    return user;
  }
}

/** Common name and organisations are user and groups, as in Kubernetes. */
function certificateUser(socket: TLSSocket): User {
  const { subject } = socket.getPeerCertificate();
  const name = subject?.CN;
  if (name === undefined || typeof name !== "string" || name === "") return ANONYMOUS;
  const organisations: unknown = subject.O;
  const groups = Array.isArray(organisations)
    ? organisations.map(String)
    : typeof organisations === "string"
      ? [organisations]
      : [];
  return { name, groups: [...groups, AUTHENTICATED_GROUP] };
}

function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
