import type { FieldManager, Operation } from "@heddle/apiserver/fields/managers";
import { applied, appliedNew, tracked, trackedNew } from "@heddle/apiserver/fields/tracking";
import { clone, digObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import type { Entry } from "@heddle/apiserver/store/entry";
import { type Admitted, admit, type FieldValidation } from "./admit.ts";
import { FieldSight } from "./field-sight.ts";
import { metadataOf } from "./metadata.ts";
import { toView } from "./present.ts";
import type { Part, Target } from "./target.ts";

/** Whose write it is. */
export interface Author {
  /** What `metadata.managedFields` calls them. */
  readonly name: string;
  readonly operation: Operation;
  /** Of an Apply: fields that others own are taken from them. */
  readonly isForced: boolean;
  /** Where it is none of the object's parts: `scale`. */
  readonly subresource?: string;
}

export interface DraftOptions {
  readonly fieldValidation: FieldValidation;
  /** This server itself, if left out. */
  readonly author?: Author;
  /** Owners of the object's fields, where that is settled already. */
  readonly owners?: { readonly entries: Json | undefined };
}

/** Makes the new object out of the present one, both as the request's version shows them. */
export type Revise = (current: JsonObject) => Json;

const SERVER: Author = { name: "heddle-apiserver", operation: "Update", isForced: false };

/**
 * Makes of what a client sends what it wants: an object of our form, which says who owns what of it.
 * Neither webhooks nor the rules of its kind have seen it.
 */
export class Drafter {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** @param body - Owned by the drafter from now on. */
  create(target: Target, body: Json, options: DraftOptions, nowIso: string): Admitted {
    const { author = SERVER, owners } = options;
    const sight = new FieldSight(this.#registry, target, "object");
    const change = { manager: managerOf(author, "object"), time: nowIso };
    const sent = ownersIn(body);
    if (author.operation === "Update" || owners !== undefined) {
      const draft = admit(body, target.type, target.view, options.fieldValidation);
      const entries =
        owners === undefined
          ? unlessShapeless(undefined, () => trackedNew(sight, sent, draft.object, change))
          : owners.entries;
      return withOwners(draft, entries);
    }
    const entries = appliedNew(sight, body, change);
    return withOwners(admit(body, target.type, target.view, options.fieldValidation), entries);
  }

  /** What `revise` makes of the present object, or, of an Apply, of the configuration it gives. */
  change(
    target: Target,
    current: Entry,
    { part, revise }: { readonly part: Part; readonly revise: Revise },
    options: DraftOptions,
    nowIso: string,
  ): Admitted {
    const { author = SERVER, owners } = options;
    const { type, view } = target;
    const sight = new FieldSight(this.#registry, target, part);
    const before = toView(current.object, target);
    const old = own(metadataOf(before), "managedFields");
    // As in Kubernetes, which keeps no time of what is scaled.
    const time = author.subresource === undefined ? nowIso : undefined;
    const change = { manager: managerOf(author, part), time };
    if (author.operation === "Apply" && owners === undefined) {
      const config = revise(clone(before));
      const made = applied(sight, before, config, { ...change, isForced: author.isForced });
      const draft = admit(made.object, type, view, options.fieldValidation);
      return withOwners(draft, made.entries);
    }
    const body = revise(clone(before));
    const sent = ownersIn(body);
    const draft = admit(body, type, view, options.fieldValidation);
    if (owners !== undefined) return withOwners(draft, owners.entries);
    // Owners cannot be written through subresources.
    const owned = { old, sent: part === "object" ? sent : old };
    const now = draft.object;
    const entries = unlessShapeless(old, () => tracked(sight, owned, before, now, change));
    return withOwners(draft, entries);
  }
}

/**
 * Who owns what, unless items of a list cannot be told apart. Drafts are not validated yet: whatever
 * keeps their fields from being named is refused then.
 */
function unlessShapeless(old: Json | undefined, track: () => Json | undefined): Json | undefined {
  try {
    return track();
  } catch (error) {
    if (error instanceof SyntaxError) return old;
    throw error;
  }
}

function managerOf({ name, operation, subresource }: Author, part: Part): FieldManager {
  return { name, operation, subresource: subresource ?? (part === "object" ? "" : part) };
}

function ownersIn(body: Json): Json | undefined {
  return own(digObject(body, "metadata"), "managedFields");
}

function withOwners(draft: Admitted, entries: Json | undefined): Admitted {
  if (entries !== undefined) metadataOf(draft.object)["managedFields"] = entries;
  return draft;
}
