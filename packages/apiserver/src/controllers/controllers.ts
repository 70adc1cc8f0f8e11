import { CLUSTER_ROLES } from "@heddle/apiserver/auth/rbac/role-index";
import { digString } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import type { Store } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import { reconcileAccounts } from "./accounts.ts";
import { createPermanentNamespaces } from "./bootstrap.ts";
import { reconcileDefinition } from "./custom-cleanup.ts";
import { DEFINITIONS } from "./definitions.ts";
import { expireEvents } from "./expiry.ts";
import { GarbageCollector } from "./garbage.ts";
import { reconcileNamespace } from "./namespaces.ts";
import {
  aggregatedRoles,
  createDefaultRoles,
  reconcileAggregation,
  reconcileNamespaceRoles,
} from "./roles.ts";
import { SliceController } from "./slices/controller.ts";
import { WorkQueue } from "./work-queue.ts";

export interface ControllerParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly clock: Clock;
  readonly log: Log;
  /** The authorities that every namespace is told of. */
  readonly caPem: () => string;
}

export interface Controllers extends AsyncDisposable {
  /** Tells all namespaces of new authorities. */
  publishRoots(): void;
}

const EXPIRY_MS = 60_000;

/** Starts everything that a controller manager would do. */
export async function startControllers(parts: ControllerParts): Promise<Controllers> {
  const { store } = parts;
  const log = parts.log.child("controllers");
  await using stack = new AsyncDisposableStack();
  const queue = (name: string, reconcile: (key: string) => Promise<void>): WorkQueue => {
    const made = new WorkQueue({ name, log, reconcile });
    stack.defer(() => made.stop());
    return made;
  };
  const accounts = queue("accounts", (key) => reconcileAccounts(parts, key));
  const namespaces = queue("namespaces", (key) => reconcileNamespace(parts, key));
  const definitions = queue("definitions", (key) => reconcileDefinition(parts, key));
  const aggregation = queue("aggregation", (key) => reconcileAggregation(parts, key));
  const namespaceRoles = queue("namespace roles", (key) => reconcileNamespaceRoles(parts, key));
  const expiry = queue("expiry", () => expireEvents(parts));
  const slices = new SliceController(parts, log);
  stack.defer(() => slices.stop());
  const garbage = new GarbageCollector({ ...parts, log });
  stack.defer(garbage.start());
  stack.defer(() => garbage.stop());
  stack.defer(
    store.subscribe({
      resource: undefined,
      namespace: "",
      onEvent: ({ type, entry }) => {
        const { resource, namespace, name } = entry;
        if (resource === "/namespaces") {
          accounts.add(name);
          namespaces.add(name);
          namespaceRoles.add(name);
        } else if (resource === DEFINITIONS) definitions.add(name);
        else if (resource === CLUSTER_ROLES) {
          for (const role of aggregatedRoles(store)) aggregation.add(role);
        }
        if (type !== "DELETED") return;
        if (resource === "/serviceaccounts" || resource === "/configmaps") accounts.add(namespace);
        if (namespace !== "" && isEnding(store, namespace)) namespaces.add(namespace);
        const definition = definitionName(resource);
        if (definition !== undefined) definitions.add(definition);
      },
    }),
  );
  for (const { name } of store.all("/namespaces")) {
    accounts.add(name);
    namespaces.add(name);
    namespaceRoles.add(name);
  }
  for (const { name } of store.all(DEFINITIONS)) definitions.add(name);
  const timer = setInterval(() => expiry.add("events"), EXPIRY_MS);
  timer.unref();
  stack.defer(() => clearInterval(timer));
  await Promise.all([createPermanentNamespaces(parts), createDefaultRoles(parts)]);
  const running = stack.move();
  return {
    publishRoots: () => {
      for (const { name } of store.all("/namespaces")) accounts.add(name);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function isEnding(store: Store, name: string): boolean {
  const namespace = store.get({ resource: "/namespaces", namespace: "", name });
  return digString(namespace?.object, "metadata", "deletionTimestamp") !== undefined;
}

/** The CustomResourceDefinition that a resource would come from: `plural.group`. */
function definitionName(resource: string): string | undefined {
  const slash = resource.indexOf("/");
  return slash <= 0 ? undefined : `${resource.slice(slash + 1)}.${resource.slice(0, slash)}`;
}
