import { clone, digString, equal, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import { targetOf } from "./bootstrap.ts";

const ROOTS = "kube-root-ca.crt";
const DESCRIPTION =
  "Contains a CA bundle that can be used to verify the API server when using internal endpoints such as the internal service IP.";

export interface AccountParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly caPem: () => string;
}

/** Gives every namespace what its workloads expect: a default account, and the server's anchors. */
export async function reconcileAccounts(parts: AccountParts, namespace: string): Promise<void> {
  const { store, registry, writer } = parts;
  const found = store.get({ resource: "/namespaces", namespace: "", name: namespace });
  if (found === undefined) return;
  if (digString(found.object, "metadata", "deletionTimestamp") !== undefined) return;
  if (store.get({ resource: "/serviceaccounts", namespace, name: "default" }) === undefined) {
    await ifAbsent(
      writer.create(targetOf(registry, "/serviceaccounts", namespace), {
        metadata: { name: "default" },
      }),
    );
  }
  const data = { "ca.crt": parts.caPem() };
  const target = targetOf(registry, "/configmaps", namespace);
  const roots = store.get({ resource: "/configmaps", namespace, name: ROOTS });
  if (roots === undefined) {
    const annotations = { "kubernetes.io/description": DESCRIPTION };
    await ifAbsent(writer.create(target, { metadata: { name: ROOTS, annotations }, data }));
  } else if (!equal(own(roots.object, "data"), data)) {
    await writer.update(target, ROOTS, "object", (current) => ({ ...clone(current), data }));
  }
}

/** Somebody else may have made it in the meantime, or the namespace may be ending. */
async function ifAbsent(made: Promise<unknown>): Promise<void> {
  try {
    await made;
  } catch (error) {
    if (!(error instanceof StatusError) || ![403, 404, 409].includes(error.code)) throw error;
  }
}
