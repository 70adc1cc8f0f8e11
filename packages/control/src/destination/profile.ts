import { addressKey, type Endpoint, fingerprint } from "./endpoint.ts";
import type { ProfileOverride, ProfileRoute, RetryBudget } from "./profile-rules.ts";

export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
}

/** What a proxy is told of an address before it asks for endpoints. */
export type Profile =
  /** The Service has no such port; the policy API says the rest. */
  | { readonly type: "empty" }
  | {
      readonly type: "service";
      readonly name: string;
      readonly isOpaque: boolean;
      readonly service: ServiceRef & { readonly port: number };
      readonly profile: (ServiceRef & { readonly kind: string }) | undefined;
      readonly routes: readonly ProfileRoute[];
      readonly budget: RetryBudget;
      /** Each with its port. */
      readonly overrides: readonly ProfileOverride[];
    }
  | { readonly type: "endpoint"; readonly isOpaque: boolean; readonly endpoint: Endpoint };

export interface ProfileListener {
  onProfile(profile: Profile): void;
  /** What was asked for now means something else: ask again. */
  onEnd(): void;
}

/** Equal text exactly if a proxy could not tell the two apart. */
export function profilePrint(profile: Profile): string {
  if (profile.type !== "endpoint") return JSON.stringify(profile);
  const { endpoint, isOpaque } = profile;
  return `${isOpaque} ${addressKey(endpoint)} ${fingerprint(endpoint)}`;
}

/** One answer to `GetProfile`, kept current for all who asked the same. */
export class ProfileView {
  /** Undefined while the answer cannot be given; what was told last stays valid then. */
  readonly #compute: () => Profile | undefined;
  readonly #onUnused: () => void;
  readonly #listeners = new Set<ProfileListener>();
  #current: Profile | undefined;
  #print = "";
  #isEnded = false;

  constructor(compute: () => Profile | undefined, onUnused: () => void) {
    this.#compute = compute;
    this.#onUnused = onUnused;
    this.refresh();
  }

  get current(): Profile | undefined {
    return this.#current;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Hears of every change from now on. */
  subscribe(listener: ProfileListener): () => void {
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#onUnused();
    };
  }

  /** Something that the answer may depend on has changed. */
  refresh(): void {
    if (this.#isEnded) return;
    const profile = this.#compute();
    if (profile === undefined) return;
    const print = profilePrint(profile);
    if (print === this.#print) return;
    this.#current = profile;
    this.#print = print;
    for (const listener of this.#listeners) listener.onProfile(profile);
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const listener of this.#listeners) listener.onEnd();
    this.#listeners.clear();
    this.#onUnused();
  }
}
