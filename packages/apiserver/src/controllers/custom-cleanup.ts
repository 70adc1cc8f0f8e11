import { digArray, digString, own } from "@heddle/apiserver/json/value";
import { CUSTOM_CLEANUP } from "@heddle/apiserver/kinds/custom-definition";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { PLAIN_DELETE } from "@heddle/apiserver/objects/delete-options";
import type { Target } from "@heddle/apiserver/objects/target";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import { targetOf } from "./bootstrap.ts";
import { DEFINITIONS } from "./definitions.ts";

/** Ends the objects of a CustomResourceDefinition that is being deleted, then lets it go. */
export async function reconcileDefinition(
  parts: { readonly store: Store; readonly registry: Registry; readonly writer: ObjectWriter },
  name: string,
): Promise<void> {
  const { store, registry, writer } = parts;
  const definition = store.get({ resource: DEFINITIONS, namespace: "", name })?.object;
  if (digString(definition, "metadata", "deletionTimestamp") === undefined) return;
  const finalizers = digArray(definition, "metadata", "finalizers");
  if (!finalizers.includes(CUSTOM_CLEANUP)) return;
  const group = digString(definition, "spec", "group") ?? "";
  const key = `${group}/${digString(definition, "spec", "names", "plural") ?? ""}`;
  const type = registry.byKey(key);
  const view = type?.versions[0];
  if (type !== undefined && view !== undefined) {
    for (const { namespace, name: one, object } of [...store.all(key)]) {
      if (digString(object, "metadata", "deletionTimestamp") !== undefined) continue;
      const target: Target = { type, view, namespace };
      try {
        await writer.delete(target, one, PLAIN_DELETE);
      } catch (error) {
        if (!(error instanceof StatusError) || error.code !== 404) throw error;
      }
    }
  }
  // What finalizers hold brings us back when it has gone.
  if (store.count(key) > 0) return;
  await writer.update(targetOf(registry, DEFINITIONS, ""), name, "object", (current) => {
    const metadata = own(current, "metadata") as object;
    const rest = finalizers.filter((finalizer) => finalizer !== CUSTOM_CLEANUP);
    return { ...current, metadata: { ...metadata, finalizers: rest } };
  });
}
