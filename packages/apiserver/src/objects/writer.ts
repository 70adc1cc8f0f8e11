import type { RuleChecker } from "@heddle/apiserver/cel/rule-checker";
import { RuleQuestions } from "@heddle/apiserver/cel/rule-questions";
import {
  clone,
  digArray,
  digString,
  equal,
  type Json,
  type JsonObject,
  own,
} from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { ChangeContext, ServerSettings } from "@heddle/apiserver/kinds/resource-type";
import { inOrder } from "@heddle/apiserver/schema/walk";
import { alreadyExists, forbidden, notFound } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Place, Store, Tx } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import { type Admitted, refuse, schemaCauses } from "./admit.ts";
import { type DeleteOptions, finalizersFor } from "./delete-options.ts";
import { Drafter, type DraftOptions, type Revise } from "./draft.ts";
import {
  dropStatus,
  isFinished,
  isHeld,
  isNewGeneration,
  isoSeconds,
  markDeleted,
  newFinalizers,
  takePart,
} from "./lifecycle.ts";
import {
  keepMetadata,
  keepOwnersOf,
  metadataOf,
  setOwners,
  stampNew,
  validateMetadata,
} from "./metadata.ts";
import { generateName } from "./names.ts";
import {
  checkDeletePreconditions,
  checkIdentity,
  checkNamespace,
  checkPreconditions,
  settleNamespace,
} from "./preconditions.ts";
import { toStored, toView } from "./present.ts";
import type { Part, Target } from "./target.ts";

export interface WriteOptions extends DraftOptions {
  readonly isDryRun: boolean;
  /** Of a new object, where it was told already. */
  readonly uid?: string;
  /** The same: when it was made, as `nowIso` gives it. */
  readonly createdIso?: string;
  /** Looks at what is about to be stored, and throws if its author may not store it. */
  readonly guard?: (object: JsonObject, old: JsonObject | undefined) => void;
}

export interface Written {
  readonly entry: Entry;
  readonly warnings: readonly string[];
  /** False if the object was there and this write changed nothing or something of it. */
  readonly isNew: boolean;
}

export interface Deleted {
  /** The last state. */
  readonly entry: Entry;
  readonly isGone: boolean;
}

/** Which part of an object is written, and how its new state is made of the present one. */
export interface Change {
  readonly part: Part;
  readonly revise: Revise;
}

const PLAIN: WriteOptions = { isDryRun: false, fieldValidation: "Ignore" };

/** How often a generated name that is taken is made anew. */
const NAME_ATTEMPTS = 8;

/** What a writer works with. */
export interface WriterParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly settings: ServerSettings;
  readonly rules: RuleChecker;
}

/** Creates, changes and deletes objects of any kind, under the rules that all kinds share. */
export class ObjectWriter {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #settings: ServerSettings;
  readonly #rules: RuleChecker;
  readonly #drafter: Drafter;
  #second = Number.NaN;
  #secondIso = "";

  constructor({ store, registry, clock, settings, rules }: WriterParts) {
    this.#store = store;
    this.#registry = registry;
    this.#clock = clock;
    this.#settings = settings;
    this.#rules = rules;
    this.#drafter = new Drafter(registry);
  }

  /** What a client wants of a new object, before the rules of its kind see it. Owns `body`. */
  draft(target: Target, body: Json, options: DraftOptions): Admitted {
    return this.#drafter.create(target, body, options, this.nowIso());
  }

  /** What a client wants of an object that is there. */
  redraft(target: Target, current: Entry, change: Change, options: DraftOptions): Admitted {
    return this.#drafter.change(target, current, change, options, this.nowIso());
  }

  /** @param body - Owned by the writer from now on. */
  async create(target: Target, body: Json, options: WriteOptions = PLAIN): Promise<Written> {
    const { type, view, namespace } = target;
    const { object, warnings } = this.draft(target, body, options);
    const metadata = metadataOf(object);
    settleNamespace(metadata, target);
    const nowIso = options.createdIso ?? this.nowIso();
    stampNew(object, nowIso, type.strategy.hasGeneration, options.uid);
    if (view.hasStatus) dropStatus(object, type);
    const causes = schemaCauses(object, view);
    const prefix = digString(metadata, "generateName") ?? "";
    const isGenerated = digString(metadata, "name") === undefined && prefix !== "";
    const rules = new RuleQuestions(this.#rules, target);
    if (rules.areMeant(object)) await rules.ready();
    const entry = await this.#store.commit((tx) => {
      if (namespace !== "") checkNamespace(tx, type, namespace);
      const stored = toStored(object, target);
      if (isGenerated) this.#pickName(tx, stored, target, prefix);
      const context = this.#context(tx, nowIso);
      type.strategy.prepareCreate?.(stored, context);
      refuse(
        [
          ...causes,
          ...validateMetadata(stored, type),
          ...(causes.length === 0 ? (type.strategy.validate?.(stored) ?? []) : []),
          ...rules.ask(stored, undefined, causes),
        ],
        stored,
        type,
      );
      const place = this.#place(target, digString(stored, "metadata", "name")!);
      const refusal = type.strategy.refuseCreate?.(stored, context);
      if (refusal !== undefined) throw forbidden(type, place.name, refusal);
      if (tx.get(place) !== undefined) throw alreadyExists(type, place.name);
      options.guard?.(stored, undefined);
      return tx.set(place, inOrder(stored));
    }, options.isDryRun);
    return { entry, warnings: [...warnings, ...rules.warnings], isNew: true };
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
    const nowIso = this.nowIso();
    let warnings: readonly string[] = [];
    const rules = new RuleQuestions(this.#rules, target);
    const preview = this.#preview(target, name, { part, revise }, options);
    if (rules.areMeant(preview)) await rules.ready();
    const entry = await this.#store.commit((tx) => {
      const place = this.#place(target, name);
      const current = tx.get(place);
      if (current === undefined) throw notFound(type, name);
      const admitted = this.redraft(target, current, { part, revise }, options);
      warnings = admitted.warnings;
      checkPreconditions(type, current, metadataOf(admitted.object), name);
      const revised = this.#merged(target, current, admitted.object, part, {
        ...this.#context(tx, nowIso),
        rules,
      });
      if (revised === current.object) return current;
      options.guard?.(revised, current.object);
      return isFinished(revised, type)
        ? tx.remove(place, revised)
        : tx.set(place, inOrder(revised));
    }, options.isDryRun);
    return { entry, warnings: [...warnings, ...rules.warnings], isNew: false };
  }

  /** Deletes an object, or marks it for deletion while finalizers hold it. */
  async delete(target: Target, name: string, options: DeleteOptions): Promise<Deleted> {
    const { type } = target;
    const nowIso = this.nowIso();
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

  /** Of a definition, what an update would make of it as things stand: it may state rules. */
  #preview(
    target: Target,
    name: string,
    change: Change,
    options: WriteOptions,
  ): JsonObject | undefined {
    if (!RuleQuestions.mayDefine(target.type)) return undefined;
    const current = this.#store.get(this.#place(target, name));
    return current === undefined
      ? undefined
      : this.redraft(target, current, change, options).object;
  }

  /**
   * What will be stored, checked: the present object itself if nothing changes.
   *
   * @param sent - What the client wants to see.
   */
  #merged(
    target: Target,
    current: Entry,
    sent: JsonObject,
    part: Part,
    context: ChangeContext & { readonly rules: RuleQuestions },
  ): JsonObject {
    const { type, view } = target;
    const old = current.object;
    checkIdentity(target, sent, current.name);
    const sentMetadata = metadataOf(sent);
    const object = toStored(takePart(sent, toView(old, target), part, view), target);
    const owners = own(sentMetadata, "managedFields");
    object["metadata"] = part === "object" ? sentMetadata : clone(metadataOf(old));
    keepMetadata(object, old);
    setOwners(object, owners);
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
    causes.push(...context.rules.ask(object, old, causes));
    keepOwnersOf(object, old);
    if (equal(object, old)) return old;
    refuse(causes, object, type);
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

  #place(target: Target, name: string): Place {
    return { resource: target.type.key, namespace: target.namespace, name };
  }

  #context(tx: Tx, nowIso: string): ChangeContext {
    return { tx, nowIso, settings: this.#settings, registry: this.#registry };
  }

  /** The present as metadata tells it. Written once a second: it costs as much as all of owners. */
  nowIso(): string {
    const second = Math.floor(this.#clock.wallMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#secondIso = isoSeconds(second * 1000);
    }
    return this.#secondIso;
  }
}
