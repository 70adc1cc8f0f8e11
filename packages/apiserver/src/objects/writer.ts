import {
  clone,
  digArray,
  digString,
  equal,
  type Json,
  type JsonObject,
  own,
  put,
} from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type {
  ChangeContext,
  ResourceType,
  ServerSettings,
  VersionView,
} from "@heddle/apiserver/kinds/resource-type";
import { inOrder } from "@heddle/apiserver/schema/walk";
import {
  alreadyExists,
  badRequest,
  type Cause,
  conflict,
  forbidden,
  invalid,
  notFound,
  StatusError,
} from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Place, Store, Tx } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import { type Admitted, admit, type FieldValidation, refuse, schemaCauses } from "./admit.ts";
import { type DeleteOptions, finalizersFor } from "./delete-options.ts";
import { keepMetadata, metadataOf, stampNew, validateMetadata } from "./metadata.ts";
import { generateName } from "./names.ts";
import { toStored, toView } from "./present.ts";

/** A resource, seen through one version, and the namespace of the request's path. */
export interface Target {
  readonly type: ResourceType;
  readonly view: VersionView;
  /** Empty for resources without namespaces. */
  readonly namespace: string;
}

export interface WriteOptions {
  readonly isDryRun: boolean;
  readonly fieldValidation: FieldValidation;
}

export interface Written {
  readonly entry: Entry;
  readonly warnings: readonly string[];
  /** False if the object was there and this write changed nothing or something of it. */
  readonly isNew: boolean;
}

/** Makes the new object out of the present one, both as the request's version shows them. */
export type Revise = (current: JsonObject) => Json;

/** What part of an object a write is about. */
export type Part = "object" | "status" | "finalize";

const PLAIN: WriteOptions = { isDryRun: false, fieldValidation: "Ignore" };

/** How often a generated name that is taken is made anew. */
const NAME_ATTEMPTS = 8;

/** Creates, changes and deletes objects of any kind, under the rules that all kinds share. */
export class ObjectWriter {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #settings: ServerSettings;

  constructor(store: Store, registry: Registry, clock: Clock, settings: ServerSettings) {
    this.#store = store;
    this.#registry = registry;
    this.#clock = clock;
    this.#settings = settings;
  }

  /** @param body - Owned by the writer from now on. */
  async create(target: Target, body: Json, options: WriteOptions = PLAIN): Promise<Written> {
    const { type, view, namespace } = target;
    const { object, warnings } = admit(body, type, view, options.fieldValidation);
    const metadata = metadataOf(object);
    settleNamespace(metadata, target);
    const nowIso = this.#nowIso();
    stampNew(object, nowIso, type.strategy.hasGeneration);
    if (view.hasStatus) dropStatus(object, type);
    const causes = schemaCauses(object, view);
    const prefix = digString(metadata, "generateName") ?? "";
    const isGenerated = digString(metadata, "name") === undefined && prefix !== "";
    const entry = await this.#store.commit((tx) => {
      if (namespace !== "") this.#checkNamespace(tx, type, namespace);
      const stored = toStored(object, target);
      if (isGenerated) this.#pickName(tx, stored, target, prefix);
      const context = this.#context(tx, nowIso);
      type.strategy.prepareCreate?.(stored, context);
      refuse(
        [
          ...causes,
          ...validateMetadata(stored, type),
          ...(causes.length === 0 ? (type.strategy.validate?.(stored) ?? []) : []),
        ],
        stored,
        type,
      );
      const place = this.#place(target, digString(stored, "metadata", "name")!);
      if (tx.get(place) !== undefined) throw alreadyExists(type, place.name);
      return tx.set(place, inOrder(stored));
    }, options.isDryRun);
    return { entry, warnings, isNew: true };
  }

  /** Replaces the object, or its status, by what `revise` makes of it. */
  async update(
    target: Target,
    name: string,
    part: Part,
    revise: Revise,
    options: WriteOptions = PLAIN,
  ): Promise<Written> {
    const { type } = target;
    const nowIso = this.#nowIso();
    let warnings: readonly string[] = [];
    const entry = await this.#store.commit((tx) => {
      const place = this.#place(target, name);
      const current = tx.get(place);
      if (current === undefined) throw notFound(type, name);
      const admitted = this.#revised(target, current, revise, options);
      warnings = admitted.warnings;
      checkPreconditions(type, current, metadataOf(admitted.object), name);
      const revised = this.#merged(
        target,
        current,
        admitted.object,
        part,
        this.#context(tx, nowIso),
      );
      if (equal(revised, current.object)) return current;
      return isFinished(revised, type)
        ? tx.remove(place, revised)
        : tx.set(place, inOrder(revised));
    }, options.isDryRun);
    return { entry, warnings, isNew: false };
  }

  /**
   * Deletes an object, or marks it for deletion while finalizers hold it.
   *
   * @returns the last state, and whether the object is gone.
   */
  async delete(
    target: Target,
    name: string,
    options: DeleteOptions,
  ): Promise<{ readonly entry: Entry; readonly isGone: boolean }> {
    const { type } = target;
    const nowIso = this.#nowIso();
    return await this.#store.commit((tx) => {
      const place = this.#place(target, name);
      const current = tx.get(place);
      if (current === undefined) throw notFound(type, name);
      checkDeletePreconditions(type, current, options, name);
      const refusal = type.strategy.refuseDelete?.(current.object);
      if (refusal !== undefined) throw forbidden(type, name, refusal);
      const before = digArray(current.object, "metadata", "finalizers");
      const finalizers = finalizersFor(before, options.propagation);
      if (finalizers.length === 0 && !isHeld(current.object, type)) {
        return { entry: tx.remove(place), isGone: true };
      }
      const isMarked = digString(current.object, "metadata", "deletionTimestamp") !== undefined;
      if (isMarked && equal(finalizers, before)) return { entry: current, isGone: false };
      const object = clone(current.object);
      markDeleted(object, nowIso, finalizers);
      return { entry: tx.set(place, inOrder(object)), isGone: false };
    }, options.isDryRun);
  }

  #revised(target: Target, current: Entry, revise: Revise, options: WriteOptions): Admitted {
    const body = revise(clone(toView(current.object, target)));
    return admit(body, target.type, target.view, options.fieldValidation);
  }

  /** What will be stored, checked; `sent` is what the client wants to see. */
  #merged(
    target: Target,
    current: Entry,
    sent: JsonObject,
    part: Part,
    context: ChangeContext,
  ): JsonObject {
    const { type, view } = target;
    const old = current.object;
    checkIdentity(target, sent, current.name);
    const sentMetadata = metadataOf(sent);
    const object = toStored(takePart(sent, toView(old, target), part, view), target);
    object["metadata"] = part === "object" ? sentMetadata : clone(metadataOf(old));
    keepMetadata(object, old);
    metadataOf(object)["resourceVersion"] = String(current.rv);
    const causes = schemaCauses(toView(object, target), view);
    if (part === "object" && causes.length === 0)
      type.strategy.prepareUpdate?.(object, old, context);
    if (type.strategy.hasGeneration && isNewGeneration(object, old, view)) {
      const generation = own(metadataOf(old), "generation");
      metadataOf(object)["generation"] = (typeof generation === "number" ? generation : 0) + 1;
    }
    causes.push(...validateMetadata(object, type), ...newFinalizers(object, old));
    if (causes.length === 0) {
      causes.push(...(type.strategy.validate?.(object) ?? []));
      causes.push(...(type.strategy.validateUpdate?.(object, old) ?? []));
    }
    if (!equal(object, old)) refuse(causes, object, type);
    return object;
  }

  #pickName(tx: Tx, object: JsonObject, target: Target, prefix: string): void {
    const metadata = metadataOf(object);
    for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
      const name = generateName(prefix);
      metadata["name"] = name;
      if (tx.get(this.#place(target, name)) === undefined) return;
    }
  }

  /** Nothing is made in a namespace that is not there or that is ending. */
  #checkNamespace(tx: Tx, type: ResourceType, namespace: string): void {
    const entry = tx.get({ resource: "/namespaces", namespace: "", name: namespace });
    if (entry === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
    if (digString(entry.object, "metadata", "deletionTimestamp") === undefined) return;
    const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const refusal = forbidden(type, "", why);
    throw new StatusError(403, refusal.reason, refusal.message, {
      details: {
        ...refusal.details,
        causes: [
          {
            reason: "NamespaceTerminating",
            message: `namespace ${namespace} is being terminated`,
            field: "metadata.namespace",
          },
        ],
      },
    });
  }

  #place(target: Target, name: string): Place {
    return { resource: target.type.key, namespace: target.namespace, name };
  }

  #context(tx: Tx, nowIso: string): ChangeContext {
    return { tx, nowIso, settings: this.#settings, registry: this.#registry };
  }

  #nowIso(): string {
    return isoSeconds(this.#clock.wallMs());
  }
}

/** RFC 3339 to the second, as the API writes times. */
export function isoSeconds(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
}

function settleNamespace(metadata: JsonObject, { type, namespace }: Target): void {
  const sent = digString(metadata, "namespace") ?? "";
  if (!type.isNamespaced) {
    delete metadata["namespace"];
    return;
  }
  if (sent !== "" && sent !== namespace) {
    throw badRequest(
      "the namespace of the provided object does not match the namespace sent on the request",
    );
  }
  metadata["namespace"] = namespace;
}

function checkIdentity(target: Target, sent: JsonObject, name: string): void {
  const metadata = metadataOf(sent);
  const sentName = digString(metadata, "name") ?? name;
  if (sentName !== name) {
    throw badRequest(
      `the name of the object (${sentName}) does not match the name on the URL (${name})`,
    );
  }
  metadata["name"] = name;
  settleNamespace(metadata, target);
}

function checkPreconditions(
  type: ResourceType,
  current: Entry,
  sent: JsonObject,
  name: string,
): void {
  const uid = digString(sent, "uid");
  const currentUid = digString(current.object, "metadata", "uid");
  if (uid !== undefined && uid !== "" && uid !== currentUid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`;
    throw conflict(type, name, why);
  }
  const version = digString(sent, "resourceVersion") ?? "";
  if (version === "" || version === "0") {
    if (type.strategy.allowsUnconditionalUpdate) return;
    const message = "Invalid value: 0: must be specified for an update";
    const field = "metadata.resourceVersion";
    throw invalid(type, name, [{ reason: "FieldValueInvalid", message, field }]);
  }
  if (version !== String(current.rv)) {
    const why =
      "the object has been modified; please apply your changes to the latest version and try again";
    throw conflict(type, name, why);
  }
}

function checkDeletePreconditions(
  type: ResourceType,
  current: Entry,
  { uid, resourceVersion }: DeleteOptions,
  name: string,
): void {
  const currentUid = digString(current.object, "metadata", "uid");
  if (uid !== undefined && uid !== currentUid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${currentUid}`;
    throw conflict(type, name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== String(current.rv)) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${current.rv}`;
    throw conflict(type, name, why);
  }
}

/** The object with only the part replaced that the request is about. */
function takePart(sent: JsonObject, old: JsonObject, part: Part, view: VersionView): JsonObject {
  if (part === "status") return withField(clone(old), "status", own(sent, "status"));
  if (part === "finalize") {
    const copy = clone(old);
    const finalizers = digArray(sent, "spec", "finalizers");
    return withField(copy, "spec", { finalizers });
  }
  return view.hasStatus ? withField(sent, "status", clone(own(old, "status") ?? null)) : sent;
}

function withField(object: JsonObject, key: string, value: Json | undefined): JsonObject {
  if (value === undefined || value === null) delete object[key];
  else put(object, key, value);
  return object;
}

/** Whether anything but metadata and status differs. */
function isNewGeneration(object: JsonObject, old: JsonObject, view: VersionView): boolean {
  const isCounted = (key: string): boolean =>
    key !== "metadata" && !(key === "status" && view.hasStatus);
  const keys = new Set([...Object.keys(object), ...Object.keys(old)]);
  for (const key of keys) {
    if (isCounted(key) && !equal(own(object, key), own(old, key))) return true;
  }
  return false;
}

function newFinalizers(object: JsonObject, old: JsonObject): Cause[] {
  if (digString(old, "metadata", "deletionTimestamp") === undefined) return [];
  const before = digArray(old, "metadata", "finalizers");
  const added = digArray(object, "metadata", "finalizers").filter((f) => !before.includes(f));
  if (added.length === 0) return [];
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  return [{ reason: "FieldValueForbidden", message, field: "metadata.finalizers" }];
}

/** Status comes with the status subresource only; some kinds have one from the start. */
function dropStatus(object: JsonObject, type: ResourceType): void {
  if (type.strategy.keepsInitialStatus !== true) delete object["status"];
}

/** A namespace stays until its spec has no finalizers, whatever its metadata says. */
function isHeld(object: JsonObject, type: ResourceType): boolean {
  return type.key === "/namespaces" && digArray(object, "spec", "finalizers").length > 0;
}

function isFinished(object: JsonObject, type: ResourceType): boolean {
  return (
    digString(object, "metadata", "deletionTimestamp") !== undefined &&
    digArray(object, "metadata", "finalizers").length === 0 &&
    !isHeld(object, type)
  );
}

function markDeleted(object: JsonObject, nowIso: string, finalizers: readonly Json[]): void {
  const metadata = metadataOf(object);
  if (own(metadata, "deletionTimestamp") === undefined) {
    metadata["deletionTimestamp"] = nowIso;
    metadata["deletionGracePeriodSeconds"] = 0;
    const generation = own(metadata, "generation");
    if (typeof generation === "number") metadata["generation"] = generation + 1;
  }
  if (finalizers.length === 0) delete metadata["finalizers"];
  else metadata["finalizers"] = [...finalizers];
  const isNamespace = object["kind"] === "Namespace" && object["apiVersion"] === "v1";
  if (isNamespace)
    object["status"] = { ...(own(object, "status") as JsonObject), phase: "Terminating" };
}
