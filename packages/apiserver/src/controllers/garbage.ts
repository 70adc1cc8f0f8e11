import { clone, digArray, digString, type Json, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { PLAIN_DELETE, PROPAGATION_FINALIZERS } from "@heddle/apiserver/objects/delete-options";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Log } from "@heddle/base/log";
import { targetOf } from "./bootstrap.ts";
import { WorkQueue } from "./work-queue.ts";

export interface GarbageParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly log: Log;
}

/**
 * Deletes what nobody owns any more, and carries out foreground and orphaning deletes. Owners are
 * known by uid: an owner of the same name that was made anew is another one.
 */
export class GarbageCollector {
  readonly #parts: GarbageParts;
  readonly #queue: WorkQueue;
  /** Uids of all present objects, with where they stand. */
  readonly #present = new Map<string, Entry>();
  /** By the uid of an owner, the uids of what it owns. */
  readonly #owned = new Map<string, Set<string>>();

  constructor(parts: GarbageParts) {
    this.#parts = parts;
    this.#queue = new WorkQueue({
      name: "garbage",
      log: parts.log,
      reconcile: (uid) => this.#reconcile(uid),
    });
    for (const resource of parts.store.resources()) {
      for (const entry of parts.store.all(resource)) this.#track(entry, undefined);
    }
  }

  /** Subscribes; to be called in the turn in which the collector was made. */
  start(): () => void {
    return this.#parts.store.subscribe({
      resource: undefined,
      namespace: "",
      onEvent: ({ type, entry, previous }) => {
        if (type === "DELETED") this.#forget(entry, previous);
        else this.#track(entry, previous);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
  }

  #track(entry: Entry, previous: Entry | undefined): void {
    const uid = uidOf(entry);
    if (uid === undefined) return;
    this.#present.set(uid, entry);
    const before = previous === undefined ? [] : ownersOf(previous);
    const owners = ownersOf(entry);
    for (const { uid: owner } of before) this.#owned.get(owner)?.delete(uid);
    for (const { uid: owner } of owners) {
      let owned = this.#owned.get(owner);
      if (owned === undefined) {
        owned = new Set();
        this.#owned.set(owner, owned);
      }
      owned.add(uid);
    }
    if (owners.length > 0 || isWaiting(entry)) this.#queue.add(uid);
  }

  #forget(entry: Entry, previous: Entry | undefined): void {
    const uid = uidOf(entry);
    if (uid === undefined) return;
    this.#present.delete(uid);
    for (const { uid: owner } of ownersOf(previous ?? entry)) {
      const owned = this.#owned.get(owner);
      owned?.delete(uid);
      if (owned?.size === 0) this.#owned.delete(owner);
      // It may wait for the last of what it owns.
      if (this.#present.has(owner)) this.#queue.add(owner);
    }
    for (const dependent of this.#owned.get(uid) ?? []) this.#queue.add(dependent);
  }

  async #reconcile(uid: string): Promise<void> {
    const entry = this.#present.get(uid);
    if (entry === undefined) return;
    const finalizers = digArray(entry.object, "metadata", "finalizers");
    if (isDeleted(entry)) {
      if (finalizers.includes(PROPAGATION_FINALIZERS.orphan)) await this.#orphan(entry, uid);
      else if (finalizers.includes(PROPAGATION_FINALIZERS.foreground)) {
        await this.#deleteFirst(entry, uid);
      }
      return;
    }
    await this.#collect(entry);
  }

  /** Deletes an object all of whose owners are gone, or whose last owner waits for that. */
  async #collect(entry: Entry): Promise<void> {
    const owners = ownersOf(entry);
    if (owners.length === 0) return;
    const living = owners.filter(({ uid }) => this.#present.has(uid));
    const steady = living.filter(({ uid }) => !isForeground(this.#present.get(uid)!));
    if (steady.length > 0) {
      // Owners that are gone are taken off, so that they are not looked for again.
      if (living.length < owners.length) await this.#keepOwners(entry, living);
      return;
    }
    const propagation = living.length > 0 ? "Foreground" : "Background";
    await this.#delete(entry, propagation);
  }

  async #deleteFirst(entry: Entry, uid: string): Promise<void> {
    const dependents = [...(this.#owned.get(uid) ?? [])].flatMap(
      (one) => this.#present.get(one) ?? [],
    );
    const blocking = dependents.filter((one) =>
      ownersOf(one).some((owner) => owner.uid === uid && owner.blocks),
    );
    if (blocking.length === 0) {
      await this.#dropFinalizer(entry, PROPAGATION_FINALIZERS.foreground);
      return;
    }
    for (const one of dependents) if (!isDeleted(one)) await this.#collect(one);
  }

  async #orphan(entry: Entry, uid: string): Promise<void> {
    for (const one of this.#owned.get(uid) ?? []) {
      const dependent = this.#present.get(one);
      if (dependent === undefined) continue;
      const others = ownersOf(dependent).filter((owner) => owner.uid !== uid);
      await this.#keepOwners(dependent, others);
    }
    await this.#dropFinalizer(entry, PROPAGATION_FINALIZERS.orphan);
  }

  async #keepOwners(entry: Entry, kept: readonly Owner[]): Promise<void> {
    const uids = kept.map(({ uid }) => uid);
    await this.#change(entry, "ownerReferences", (owner) =>
      uids.includes(String(own(owner, "uid"))),
    );
  }

  async #dropFinalizer(entry: Entry, finalizer: string): Promise<void> {
    await this.#change(entry, "finalizers", (one) => one !== finalizer);
  }

  /** Filters a list in an object's metadata. */
  async #change(entry: Entry, key: string, keeps: (item: Json) => boolean): Promise<void> {
    const target = targetOf(this.#parts.registry, entry.resource, entry.namespace);
    const uid = uidOf(entry);
    await unlessGone(
      this.#parts.writer.update(target, entry.name, "object", (current) => {
        const metadata = own(current, "metadata");
        if (digString(current, "metadata", "uid") !== uid) return current;
        const list = digArray(current, "metadata", key).filter(keeps);
        return { ...current, metadata: { ...(clone(metadata ?? {}) as object), [key]: list } };
      }),
    );
  }

  async #delete(entry: Entry, propagation: "Background" | "Foreground"): Promise<void> {
    const target = targetOf(this.#parts.registry, entry.resource, entry.namespace);
    const uid = uidOf(entry);
    await unlessGone(
      this.#parts.writer.delete(target, entry.name, { ...PLAIN_DELETE, propagation, uid }),
    );
  }
}

interface Owner {
  readonly uid: string;
  readonly blocks: boolean;
}

function ownersOf({ object }: Entry): Owner[] {
  return digArray(object, "metadata", "ownerReferences").map((owner) => ({
    uid: String(own(owner, "uid")),
    blocks: own(owner, "blockOwnerDeletion") === true,
  }));
}

function uidOf({ object }: Entry): string | undefined {
  return digString(object, "metadata", "uid");
}

function isDeleted({ object }: Entry): boolean {
  return digString(object, "metadata", "deletionTimestamp") !== undefined;
}

function isForeground(entry: Entry): boolean {
  const finalizers = digArray(entry.object, "metadata", "finalizers");
  return isDeleted(entry) && finalizers.includes(PROPAGATION_FINALIZERS.foreground);
}

/** Whether a delete of this object waits for us. */
function isWaiting(entry: Entry): boolean {
  const ways: readonly Json[] = Object.values(PROPAGATION_FINALIZERS);
  const finalizers = digArray(entry.object, "metadata", "finalizers");
  return isDeleted(entry) && finalizers.some((finalizer) => ways.includes(finalizer));
}

/** Somebody else may have ended it, or put another in its place. */
async function unlessGone(done: Promise<unknown>): Promise<void> {
  try {
    await done;
  } catch (error) {
    if (!(error instanceof StatusError) || (error.code !== 404 && error.code !== 409)) throw error;
  }
}
