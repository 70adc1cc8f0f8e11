import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { Target } from "@heddle/apiserver/objects/target";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import type { Store } from "@heddle/apiserver/store/store";

/** Namespaces that a cluster has from the start. */
const INITIAL: readonly string[] = ["default", "kube-system", "kube-public", "kube-node-lease"];

export async function createPermanentNamespaces(parts: {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
}): Promise<void> {
  const { store, writer } = parts;
  const target = targetOf(parts.registry, "/namespaces", "");
  const missing = INITIAL.filter(
    (name) => store.get({ resource: "/namespaces", namespace: "", name }) === undefined,
  );
  await Promise.all(missing.map((name) => writer.create(target, { metadata: { name } })));
}

/** A built-in resource in its stored version, for controllers. */
export function targetOf(registry: Registry, key: string, namespace: string): Target {
  const type = registry.byKey(key);
  const view = type?.versions.find(({ version }) => version === type.storedVersion);
  if (type === undefined || view === undefined) throw new Error(`no resource ${key}`);
  return { type, view, namespace };
}
