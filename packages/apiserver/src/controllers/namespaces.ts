import { digArray, digString, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { PLAIN_DELETE } from "@heddle/apiserver/objects/delete-options";
import { isoSeconds } from "@heddle/apiserver/objects/lifecycle";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import { targetOf } from "./bootstrap.ts";

export interface NamespaceParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly clock: Clock;
}

const FINALIZER = "kubernetes";

/**
 * Ends a namespace: deletes what is in it, and lets it go when nothing is left. Run again whenever
 * something of it has gone.
 */
export async function reconcileNamespace(parts: NamespaceParts, name: string): Promise<void> {
  const { store, registry, writer } = parts;
  const entry = store.get({ resource: "/namespaces", namespace: "", name });
  if (entry === undefined) return;
  if (digString(entry.object, "metadata", "deletionTimestamp") === undefined) return;
  const finalizers = digArray(entry.object, "spec", "finalizers");
  if (!finalizers.includes(FINALIZER)) return;
  await Promise.all([...contentOf(store, registry, name)].map((one) => remove(parts, one)));
  const left = [...contentOf(store, registry, name)];
  const target = targetOf(registry, "/namespaces", "");
  if (left.length === 0) {
    await writer.update(target, name, "finalize", (current) => ({
      ...current,
      spec: { finalizers: finalizers.filter((finalizer) => finalizer !== FINALIZER) },
    }));
    return;
  }
  await writer.update(target, name, "status", (current) => ({
    ...current,
    status: { phase: "Terminating", conditions: [remaining(left, parts.clock, entry)] },
  }));
}

/** Everything in a namespace, of whatever kind. */
function* contentOf(store: Store, registry: Registry, namespace: string): Generator<Entry> {
  for (const resource of store.resources()) {
    const type = registry.byKey(resource);
    if (type === undefined || !type.isNamespaced) continue;
    yield* store.scan(resource, namespace);
  }
}

async function remove(parts: NamespaceParts, entry: Entry): Promise<void> {
  // Already on its way; a finalizer holds it, and its end will bring us back.
  if (digString(entry.object, "metadata", "deletionTimestamp") !== undefined) return;
  const target = targetOf(parts.registry, entry.resource, entry.namespace);
  try {
    await parts.writer.delete(target, entry.name, PLAIN_DELETE);
  } catch (error) {
    if (!(error instanceof StatusError) || error.code !== 404) throw error;
  }
}

function remaining(
  left: readonly Entry[],
  clock: Clock,
  namespace: Entry,
): { readonly [key: string]: string } {
  const counts = new Map<string, number>();
  for (const { resource } of left) counts.set(resource, (counts.get(resource) ?? 0) + 1);
  const list = [...counts].map(([key, count]) => `${key.slice(key.indexOf("/") + 1)} has ${count}`);
  const type = "NamespaceContentRemaining";
  const before = digArray(namespace.object, "status", "conditions").find(
    (condition) => own(condition, "type") === type,
  );
  return {
    type,
    status: "True",
    lastTransitionTime: digString(before, "lastTransitionTime") ?? isoSeconds(clock.wallMs()),
    reason: "SomeResourcesRemain",
    message: `Some resources are remaining: ${list.join(", ")} resource instances`,
  };
}
