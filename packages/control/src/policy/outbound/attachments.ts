import type { Dependency } from "../cells.ts";
import type { AttachedParent, AttachedRoute } from "./route.ts";

/** Routes of one kind, found by the parents that they are attached to. */
export class Attachments<M, C> {
  readonly #touched: (fact: Dependency) => void;
  readonly #routes = new Map<string, AttachedRoute<M, C>>();
  readonly #byParent = new Map<string, Set<AttachedRoute<M, C>>>();

  constructor(touched: (fact: Dependency) => void) {
    this.#touched = touched;
  }

  set(group: string, route: AttachedRoute<M, C>): void {
    this.delete(group, route.namespace, route.name);
    this.#routes.set(keyOf(group, route.namespace, route.name), route);
    for (const parent of route.parents) {
      const key = parentKey(parent);
      const routes = this.#byParent.get(key);
      if (routes === undefined) this.#byParent.set(key, new Set([route]));
      else routes.add(route);
      this.#touched(key);
    }
  }

  delete(group: string, namespace: string, name: string): void {
    const key = keyOf(group, namespace, name);
    const before = this.#routes.get(key);
    if (before === undefined) return;
    this.#routes.delete(key);
    for (const parent of before.parents) {
      const parentsKey = parentKey(parent);
      const routes = this.#byParent.get(parentsKey);
      routes?.delete(before);
      if (routes?.size === 0) this.#byParent.delete(parentsKey);
      this.#touched(parentsKey);
    }
  }

  /**
   * In no order. A route in its parent's namespace is for all clients, another one only for the
   * clients of its own namespace.
   */
  routesOf(
    parent: AttachedParent,
    clientNamespace: string,
    track: (fact: Dependency) => void,
  ): AttachedRoute<M, C>[] {
    const key = parentKey(parent);
    track(key);
    return [...(this.#byParent.get(key) ?? [])].filter(
      ({ namespace, parents }) =>
        (namespace === parent.namespace || namespace === clientNamespace) &&
        parents.some(
          (attached) =>
            parentKey(attached) === key &&
            (attached.port === undefined || attached.port === parent.port),
        ),
    );
  }
}

function keyOf(group: string, namespace: string, name: string): string {
  return `${group}/${namespace}/${name}`;
}

function parentKey({ kind, namespace, name }: AttachedParent): Dependency {
  return `routes:${kind}:${namespace}/${name}`;
}
