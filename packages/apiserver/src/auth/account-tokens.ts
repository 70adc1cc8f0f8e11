import { randomUUID } from "node:crypto";
import {
  digArray,
  digObject,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Store } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import { type SigningKey, signJwt, verifyJwt } from "./jwt.ts";
import { serviceAccountUser, type User } from "./user.ts";

/** What a token is for. */
export interface TokenSpec {
  readonly audiences: readonly string[];
  readonly lifeSeconds: number;
  /** The token dies with this object. */
  readonly boundTo?: {
    readonly kind: "Pod" | "Secret" | "Node";
    readonly name: string;
    readonly uid: string;
  };
}

export interface IssuedToken {
  readonly token: string;
  readonly expiresMs: number;
}

export type Verdict =
  | { readonly isValid: true; readonly user: User; readonly audiences: readonly string[] }
  | { readonly isValid: false; readonly why: string };

/** Signatures that were good, so that they are not checked again; bounded. */
const MAX_CACHED = 4_096;

/** How far two clocks may differ, for tokens that another server of ours has signed. */
const LEEWAY_SECONDS = 10;

/** Issues and judges the tokens of service accounts. */
export class AccountTokens {
  readonly #store: Store;
  readonly #key: SigningKey;
  readonly #issuer: string;
  readonly #clock: Clock;
  readonly #verified = new Map<string, JsonObject>();

  constructor(store: Store, key: SigningKey, issuer: string, clock: Clock) {
    this.#store = store;
    this.#key = key;
    this.#issuer = issuer;
    this.#clock = clock;
  }

  /** Also the audience of tokens that are for this server. */
  get issuer(): string {
    return this.#issuer;
  }

  issue(account: JsonObject, spec: TokenSpec): IssuedToken {
    const namespace = digString(account, "metadata", "namespace")!;
    const name = digString(account, "metadata", "name")!;
    const uid = digString(account, "metadata", "uid")!;
    const nowSeconds = Math.floor(this.#clock.wallMs() / 1000);
    const exp = nowSeconds + spec.lifeSeconds;
    const bound = spec.boundTo;
    const claims: JsonObject = {
      aud: [...spec.audiences],
      exp,
      iat: nowSeconds,
      iss: this.#issuer,
      jti: randomUUID(),
      "kubernetes.io": {
        namespace,
        ...(bound === undefined
          ? {}
          : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
        serviceaccount: { name, uid },
      },
      nbf: nowSeconds,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    return { token: signJwt(claims, this.#key), expiresMs: exp * 1000 };
  }

  /**
   * Judges a token for an audience.
   *
   * @param audiences - Of which the token must have one.
   */
  judge(token: string, audiences: readonly string[]): Verdict {
    const claims = this.#claims(token);
    if (claims === undefined) return { isValid: false, why: "invalid bearer token" };
    const nowSeconds = this.#clock.wallMs() / 1000;
    const { exp, nbf } = claims;
    if (typeof exp !== "number" || exp <= nowSeconds) {
      return { isValid: false, why: "invalid bearer token, service account token has expired" };
    }
    if (typeof nbf === "number" && nbf > nowSeconds + LEEWAY_SECONDS) {
      return {
        isValid: false,
        why: "invalid bearer token, service account token is not valid yet",
      };
    }
    const mine = digArray(claims, "aud").map(String);
    const shared = mine.filter((audience) => audiences.includes(audience));
    if (shared.length === 0) {
      const why = `invalid bearer token, token audiences ${JSON.stringify(mine)} is invalid for the target audiences ${JSON.stringify(audiences)}`;
      return { isValid: false, why };
    }
    const account = digObject(claims, "kubernetes.io") ?? {};
    const why = this.#bindingProblem(account);
    if (why !== undefined) return { isValid: false, why: `invalid bearer token, ${why}` };
    return { isValid: true, user: userOf(claims, account), audiences: shared };
  }

  #claims(token: string): JsonObject | undefined {
    const known = this.#verified.get(token);
    if (known !== undefined) return known;
    const claims = verifyJwt(token, this.#key);
    if (claims === undefined || claims["iss"] !== this.#issuer) return undefined;
    const oldest = this.#verified.keys().next();
    if (this.#verified.size >= MAX_CACHED && !oldest.done) this.#verified.delete(oldest.value);
    this.#verified.set(token, claims);
    return claims;
  }

  /** What has become of the account, and of the object that the token is bound to. */
  #bindingProblem(claims: JsonObject): string | undefined {
    const namespace = digString(claims, "namespace") ?? "";
    const account = digObject(claims, "serviceaccount");
    if (!this.#lives("/serviceaccounts", namespace, account)) {
      return "service account has been deleted";
    }
    for (const [key, resource] of BINDINGS) {
      const bound = own(claims, key);
      if (bound === undefined) continue;
      const where = key === "node" ? "" : namespace;
      if (!this.#lives(resource, where, bound)) return `${key} bound to the token has been deleted`;
    }
    return undefined;
  }

  #lives(resource: string, namespace: string, bound: Json | undefined): boolean {
    if (!isObject(bound)) return false;
    const entry = this.#store.get({ resource, namespace, name: digString(bound, "name") ?? "" });
    return entry !== undefined && digString(entry.object, "metadata", "uid") === bound["uid"];
  }
}

const BINDINGS: readonly (readonly [key: string, resource: string])[] = [
  ["pod", "/pods"],
  ["secret", "/secrets"],
  ["node", "/nodes"],
];

function userOf(claims: JsonObject, account: JsonObject): User {
  const extra: Record<string, string[]> = {};
  const id = digString(claims, "jti");
  if (id !== undefined) extra["authentication.kubernetes.io/credential-id"] = [`JTI=${id}`];
  const pod = digObject(account, "pod");
  if (pod !== undefined) {
    extra["authentication.kubernetes.io/pod-name"] = [digString(pod, "name") ?? ""];
    extra["authentication.kubernetes.io/pod-uid"] = [digString(pod, "uid") ?? ""];
  }
  return serviceAccountUser(
    digString(account, "namespace") ?? "",
    digString(account, "serviceaccount", "name") ?? "",
    digString(account, "serviceaccount", "uid") ?? "",
    extra,
  );
}
