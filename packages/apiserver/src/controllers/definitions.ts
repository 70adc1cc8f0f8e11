import type { JsonObject } from "@heddle/apiserver/json/value";
import { customType } from "@heddle/apiserver/kinds/custom";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";

export const DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions";

/**
 * Keeps the registry in step with the CustomResourceDefinitions: what is durable is served at once,
 * in the same turn in which its client is answered.
 */
export class DefinitionSync {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #onServed: (type: ResourceType) => void;

  /** @param onServed - Hears of each resource that is served, and again when it has changed. */
  constructor(store: Store, registry: Registry, onServed: (type: ResourceType) => void) {
    this.#store = store;
    this.#registry = registry;
    this.#onServed = onServed;
    for (const entry of store.all(DEFINITIONS)) this.#serve(entry);
    store.subscribe({
      resource: DEFINITIONS,
      namespace: "",
      onEvent: ({ type, entry }) => {
        if (type === "DELETED") this.#registry.remove(keyOf(entry));
        else this.#serve(entry);
      },
    });
  }

  #serve(entry: Entry): void {
    const type = customType(entry.object);
    this.#store.forgetDerived(type.key);
    if (type.versions.length === 0) this.#registry.remove(type.key);
    else {
      this.#registry.set(type);
      this.#onServed(type);
    }
  }
}

function keyOf({ object }: Entry): string {
  const { group, names } = object["spec"] as { group: string; names: JsonObject };
  return `${group}/${String(names["plural"])}`;
}
