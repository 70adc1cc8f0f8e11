import { randomUUID } from "node:crypto";
import {
  clone,
  digString,
  isObject,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { DeleteOptions } from "@heddle/apiserver/objects/delete-options";
import { metadataOf } from "@heddle/apiserver/objects/metadata";
import {
  checkDeletePreconditions,
  checkIdentity,
  checkPreconditions,
  settleNamespace,
} from "@heddle/apiserver/objects/preconditions";
import { toView } from "@heddle/apiserver/objects/present";
import type { Part, Target } from "@heddle/apiserver/objects/target";
import type {
  Change,
  Deleted,
  ObjectWriter,
  WriteOptions,
  Written,
} from "@heddle/apiserver/objects/writer";
import { badRequest, conflict, notFound, StatusError } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Admission } from "./admission.ts";
import type { Requester } from "./attempt.ts";
import type { Operation } from "./webhook.ts";

/** What becomes of an object, and of which part of it. */
export interface Revision extends Change {
  readonly options: WriteOptions;
}

/** How often webhooks are asked anew, when the object has changed while they thought. */
const MAX_ATTEMPTS = 5;

/**
 * Writes what clients want, once webhooks have had their say. What nobody wants to see goes straight
 * to the writer; so does what this server's own controllers do, who know only that one.
 *
 * Webhooks cannot be waited for in a transaction. So each write is tried dry, shown to them as it
 * would be stored, and done if nothing has changed meanwhile.
 */
export class AdmittedWriter {
  readonly #store: Store;
  readonly #writer: ObjectWriter;
  readonly #admission: Admission;

  constructor(store: Store, writer: ObjectWriter, admission: Admission) {
    this.#store = store;
    this.#writer = writer;
    this.#admission = admission;
  }

  /** @param body - Owned by the writer from now on. */
  async create(by: Requester, target: Target, body: Json, options: WriteOptions): Promise<Written> {
    if (!this.#isConcerned("CREATE", target, "object")) {
      return await this.#writer.create(target, body, options);
    }
    const { namespace } = target;
    const { object: sent, warnings } = this.#writer.draft(target, body, options);
    settleNamespace(metadataOf(sent), target);
    // Their selectors need it.
    if (namespace !== "" && this.#store.get(namespacePlace(namespace)) === undefined) {
      throw notFound({ group: "", plural: "namespaces" }, namespace);
    }
    const attempt = {
      operation: "CREATE",
      target,
      subresource: "",
      name: digString(sent, "metadata", "name") ?? "",
      object: sent,
      old: undefined,
      isDryRun: options.isDryRun,
      by,
    } as const;
    const object = (await this.#admission.mutate(attempt)) ?? sent;
    const owners = ownersOf(sent);
    const asShown = { uid: randomUUID(), createdIso: this.#writer.nowIso() };
    const plan = { ...options, ...asShown, owners, fieldValidation: "Ignore" } as const;
    const planned = await this.#writer.create(target, clone(object), { ...plan, isDryRun: true });
    const { name } = planned.entry;
    metadataOf(object)["name"] = name;
    const shown = shownAs(planned.entry, target, undefined);
    await this.#admission.validate({ ...attempt, name, object: shown });
    // What the server alone decides, a cluster IP say, may turn out otherwise than it was shown.
    return { ...(await this.#writer.create(target, object, plan)), warnings };
  }

  /** Replaces the object, or its status, by what `revise` makes of it. */
  async update(by: Requester, target: Target, name: string, revision: Revision): Promise<Written> {
    const { part, revise, options } = revision;
    if (!this.#isConcerned("UPDATE", target, part)) {
      return await this.#writer.update(target, name, part, revise, options);
    }
    return await this.#unlessChanged(target, name, (current) =>
      this.#updateFrom(current, by, target, revision),
    );
  }

  /**
   * Merges a configuration into an object, or makes the object of it.
   *
   * @param mayCreate - Asked before an object is made; throws if that is not allowed.
   */
  async apply(
    by: Requester,
    target: Target,
    name: string,
    revision: Revision,
    mayCreate: () => void,
  ): Promise<Written> {
    const place = { resource: target.type.key, namespace: target.namespace, name };
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        return await this.update(by, target, name, revision);
      } catch (error) {
        const isAbsent = isReason(error, "NotFound") && this.#store.get(place) === undefined;
        if (!isAbsent || revision.part !== "object") throw error;
      }
      mayCreate();
      const config = revision.revise({});
      checkNew(target, clone(config), name);
      try {
        return await this.create(by, target, config, revision.options);
      } catch (error) {
        // Somebody else was faster: it is there now.
        if (!isReason(error, "AlreadyExists")) throw error;
      }
    }
    throw conflict(target.type, name, "it comes and goes too fast; please try again");
  }

  /** Deletes an object, or marks it for deletion while finalizers hold it. */
  async delete(
    by: Requester,
    target: Target,
    name: string,
    options: DeleteOptions,
  ): Promise<Deleted> {
    if (!this.#isConcerned("DELETE", target, "object")) {
      return await this.#writer.delete(target, name, options);
    }
    return await this.#unlessChanged(target, name, async (current) => {
      checkDeletePreconditions(target.type, current, options, name);
      const attempt = {
        operation: "DELETE",
        target,
        subresource: "",
        name,
        object: undefined,
        old: toView(current.object, target),
        isDryRun: options.isDryRun,
        by,
      } as const;
      await this.#admission.mutate(attempt);
      await this.#admission.validate(attempt);
      const resourceVersion = String(current.rv);
      return await unlessConflict(
        this.#writer.delete(target, name, { ...options, resourceVersion }),
      );
    });
  }

  async #updateFrom(
    current: Entry,
    by: Requester,
    target: Target,
    { part, revise, options }: Revision,
  ): Promise<Written | undefined> {
    const { name } = current;
    const old = toView(current.object, target);
    const change = { part, revise: (now: JsonObject) => clone(revise(now)) };
    const { object: sent, warnings } = this.#writer.redraft(target, current, change, options);
    checkPreconditions(target.type, current, metadataOf(sent), name);
    checkIdentity(target, sent, name);
    const attempt = {
      operation: "UPDATE",
      target,
      subresource: part === "object" ? "" : part,
      name,
      object: sent,
      old,
      isDryRun: options.isDryRun,
      by,
    } as const;
    const object = (await this.#admission.mutate(attempt)) ?? sent;
    metadataOf(object)["resourceVersion"] = String(current.rv);
    const owners = ownersOf(sent);
    const write = (isDryRun: boolean): Promise<Written | undefined> =>
      unlessConflict(
        this.#writer.update(target, name, part, () => clone(object), {
          ...options,
          fieldValidation: "Ignore",
          isDryRun,
          owners,
        }),
      );
    const planned = await write(true);
    if (planned === undefined) return undefined;
    const shown = shownAs(planned.entry, target, current);
    await this.#admission.validate({ ...attempt, object: shown });
    const written = await write(options.isDryRun);
    return written === undefined ? undefined : { ...written, warnings };
  }

  /** Does it from the beginning as long as it finds the object changed when it comes to writing. */
  async #unlessChanged<T>(
    target: Target,
    name: string,
    write: (current: Entry) => Promise<T | undefined>,
  ): Promise<T> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const written = await write(await this.#newest(target, name));
      if (written !== undefined) return written;
    }
    const why = "it changes faster than admission webhooks answer; please try again";
    throw conflict(target.type, name, why);
  }

  /** With what is on its way to the disk. */
  #newest({ type, namespace }: Target, name: string): Promise<Entry> {
    return this.#store.commit((tx) => {
      const current = tx.get({ resource: type.key, namespace, name });
      if (current === undefined) throw notFound(type, name);
      return current;
    }, true);
  }

  #isConcerned(operation: Operation, target: Target, part: Part): boolean {
    const subresource = part === "object" ? "" : part;
    return this.#admission.concerns({ operation, target, subresource });
  }
}

/** A configuration of which an object is to be made names it, and nothing else that is there. */
function checkNew(target: Target, config: Json, name: string): void {
  if (!isObject(config)) return;
  const metadata = metadataOf(config);
  if ((digString(metadata, "name") ?? "") === "") {
    const why = "name must be provided";
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: ${why}`);
  }
  checkIdentity(target, config, name);
  const uid = digString(metadata, "uid") ?? "";
  if (uid === "") return;
  const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
  throw conflict(target.type, name, why);
}

/** Settled before webhooks change anything: what they add is nobody's. */
function ownersOf(draft: JsonObject): { readonly entries: Json | undefined } {
  return { entries: own(metadataOf(draft), "managedFields") };
}

function isReason(error: unknown, reason: string): boolean {
  return error instanceof StatusError && error.reason === reason;
}

async function unlessConflict<T>(writing: Promise<T>): Promise<T | undefined> {
  try {
    return await writing;
  } catch (error) {
    if (isReason(error, "Conflict")) return undefined;
    throw error;
  }
}

function namespacePlace(name: string) {
  return { resource: "/namespaces", namespace: "", name };
}

/** What was tried dry, with the revision that it was made from in place of one that is nowhere. */
function shownAs(planned: Entry, target: Target, from: Entry | undefined): JsonObject {
  const object = clone(toView(planned.object, target));
  const metadata = metadataOf(object);
  if (from === undefined) delete metadata["resourceVersion"];
  else metadata["resourceVersion"] = String(from.rv);
  return object;
}
