import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { versionsOf } from "../resources.ts";

/** What there is around an object under review. Each answer costs a question to the API. */
export interface Surroundings {
  find<T extends KubeObject>(
    of: Resource<T>,
    namespace: string,
    name: string,
  ): Promise<T | undefined>;
  /** Of a namespace; not all of them if there are very many. */
  list<T extends KubeObject>(
    of: Resource<T>,
    namespace: string,
    labelSelector?: string,
  ): Promise<readonly T[]>;
}

/** For one review. A warning is worth no more. */
const MAX_QUESTIONS = 24;
/** Whoever has more of a kind in a namespace is warned by what the first of them say. */
const MAX_LISTED = 100;

/** There will be no answer: too much was asked already. */
export class TooManyQuestions extends Error {
  override readonly name: string = "TooManyQuestions";
}

/** Asks the API, for one review. Reading calls no webhook, so none waits for itself. */
export class ApiSurroundings implements Surroundings {
  readonly #client: KubeClient;
  readonly #signal: AbortSignal;
  /** By what was asked: routes name one parent many times. */
  readonly #found = new Map<string, Promise<KubeObject | undefined>>();
  #questions = 0;

  constructor(client: KubeClient, signal: AbortSignal) {
    this.#client = client;
    this.#signal = signal;
  }

  find<T extends KubeObject>(
    of: Resource<T>,
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    const key = `${of.group}/${of.plural}/${namespace}/${name}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known as Promise<T | undefined>;
    const asked = this.#find(of, namespace, name);
    this.#found.set(key, asked);
    return asked;
  }

  async list<T extends KubeObject>(
    of: Resource<T>,
    namespace: string,
    labelSelector?: string,
  ): Promise<readonly T[]> {
    const page = { limit: MAX_LISTED, enough: MAX_LISTED };
    for (const version of versionsOf(of)) {
      this.#count();
      try {
        const options = { namespace, labelSelector, ...page, signal: this.#signal };
        return (await this.#client.list(version, options)).items;
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
    }
    // A kind that is not installed.
    return [];
  }

  /** What is not there in one version may be so because that version is not. */
  async #find<T extends KubeObject>(
    of: Resource<T>,
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    for (const version of versionsOf(of)) {
      this.#count();
      const found = await this.#client.find(version, { namespace, name }, { signal: this.#signal });
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #count(): void {
    this.#questions++;
    if (this.#questions > MAX_QUESTIONS) throw new TooManyQuestions("too much was asked");
  }
}
