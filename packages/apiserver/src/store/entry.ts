import type { JsonObject } from "@heddle/apiserver/json/value";

/**
 * One revision of one object. Its bytes are what clients are sent, encoded once; the parsed form
 * is made when first asked for and must not be changed.
 */
export class Entry {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly rv: number;
  readonly bytes: Buffer;
  #object: JsonObject | undefined;
  /** What `bytes` became for a purpose (another version, a watch event), by that purpose's name. */
  #derived: Map<string, Buffer> | undefined;

  constructor(
    of: { readonly resource: string; readonly namespace: string; readonly name: string },
    rv: number,
    body: string,
    object?: JsonObject,
  ) {
    this.resource = of.resource;
    this.namespace = of.namespace;
    this.name = of.name;
    this.rv = rv;
    this.bytes = Buffer.from(body);
    this.#object = object;
    this.#derived = undefined;
  }

  /** Key within its resource; sorts by namespace, then name. */
  get key(): string {
    return keyOf(this.namespace, this.name);
  }

  /** Shared: copy before changing. */
  get object(): JsonObject {
    this.#object ??= JSON.parse(this.bytes.toString()) as JsonObject;
    return this.#object;
  }

  /** Bytes made of this revision once, and kept as long as it. */
  derive(purpose: string, make: () => Buffer): Buffer {
    this.#derived ??= new Map();
    let found = this.#derived.get(purpose);
    if (found === undefined) {
      found = make();
      this.#derived.set(purpose, found);
    }
    return found;
  }

  /** Forgets what was derived, when the way it is made has changed. */
  forgetDerived(): void {
    this.#derived = undefined;
  }
}

export function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
