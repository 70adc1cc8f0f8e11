import { messageOf } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { TOKEN_REVIEWS, type TokenReview } from "@heddle/kube/types/core";
import { serviceAccountId } from "@heddle/model/identity";
import { refusal } from "../refusal.ts";

/** The audience of tokens that are made for this service alone. */
export const TOKEN_AUDIENCE = "identity.l5d.io";

/** No token is longer; whatever comes in goes to the API server. */
const MAX_TOKEN_BYTES = 64 * 1024;

export interface TokenOwner {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The DNS name that its certificate carries. */
  readonly identity: string;
}

export interface TokenReviewer {
  review(token: Uint8Array, signal: AbortSignal): Promise<TokenOwner>;
}

/** Asks the API server whose token it is. */
export class ApiTokenReviewer implements TokenReviewer {
  readonly #client: KubeClient;
  readonly #controlNamespace: string;
  readonly #trustDomain: string;

  constructor(client: KubeClient, controlNamespace: string, trustDomain: string) {
    this.#client = client;
    this.#controlNamespace = controlNamespace;
    this.#trustDomain = trustDomain;
  }

  async review(token: Uint8Array, signal: AbortSignal): Promise<TokenOwner> {
    if (token.length > MAX_TOKEN_BYTES) {
      throw refusal("invalid_argument", "Cannot review token: it is too long");
    }
    const text = Buffer.from(token).toString("utf8").trim();
    let status = await this.#ask(text, [TOKEN_AUDIENCE], signal);
    let isOurs = true;
    if (status.error?.includes("token audiences") === true) {
      // A token of the default kind, whose audience is the API server itself.
      isOurs = false;
      status = await this.#ask(text, [], signal);
    }
    if (status.error !== undefined && status.error !== "") {
      throw refusal("invalid_argument", `Cannot review token: ${status.error}`);
    }
    if (status.authenticated !== true) {
      throw refusal("failed_precondition", "Cannot review token: it is not authentic");
    }
    // A server that knows nothing of audiences leaves the list empty.
    const audiences = status.audiences ?? [];
    if (isOurs && audiences.length > 0 && !audiences.includes(TOKEN_AUDIENCE)) {
      throw refusal("failed_precondition", "Cannot review token: it is for another audience");
    }
    return this.#ownerOf(status.user?.username ?? "");
  }

  async #ask(
    token: string,
    audiences: readonly string[],
    signal: AbortSignal,
  ): Promise<NonNullable<TokenReview["status"]>> {
    try {
      const review: TokenReview = { metadata: {}, spec: { token, audiences } };
      const answer = await this.#client.create(TOKEN_REVIEWS, review, { signal });
      return answer.status ?? {};
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw refusal("internal", `Cannot review token: ${messageOf(cause)}`, cause);
    }
  }

  #ownerOf(username: string): TokenOwner {
    const [system, type, namespace, name, ...rest] = username.split(":");
    const isAccount =
      system === "system" &&
      type === "serviceaccount" &&
      isLabel(namespace) &&
      isLabel(name) &&
      rest.length === 0;
    if (!isAccount) {
      const state = `its owner "${username}" is not a service account with plain labels`;
      throw refusal("failed_precondition", `Cannot review token: ${state}`);
    }
    return {
      namespace,
      serviceAccount: name,
      identity: serviceAccountId(name, namespace, this.#controlNamespace, this.#trustDomain),
    };
  }
}

/** RFC 1123: dots would make the identity's parts ambiguous. */
export function isLabel(text: string | undefined): text is string {
  return text !== undefined && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text);
}
