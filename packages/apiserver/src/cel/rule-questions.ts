import type { JsonObject } from "@heddle/apiserver/json/value";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import { type Seen, toView } from "@heddle/apiserver/objects/present";
import type { Cause } from "@heddle/apiserver/status-error";
import { brokenRule, describeUnusable, statesRules, unusableRules } from "./definition-rules.ts";
import type { RuleChecker } from "./rule-checker.ts";

const DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions";

/** A value that lacks what it must have, or is of another type, is nothing that rules can judge. */
const BLOCKING: readonly Cause["reason"][] = [
  "FieldValueNotSupported",
  "FieldValueRequired",
  "FieldValueTooLong",
  "FieldValueTooMany",
  "FieldValueTypeInvalid",
];

const NOT_ASKED: Cause = {
  reason: "FieldValueInvalid",
  message:
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
  field: "<nil>",
};

/** What one write asks of rules: those of its kind, or whether those that it defines are any. */
export class RuleQuestions {
  readonly #checker: RuleChecker;
  readonly #seen: Seen;
  #warnings: readonly string[] = [];

  constructor(checker: RuleChecker, seen: Seen) {
    this.#checker = checker;
    this.#seen = seen;
  }

  /** Whether objects of this kind may state rules of others. */
  static mayDefine(type: ResourceType): boolean {
    return type.key === DEFINITIONS;
  }

  /** To be sent to the author. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /**
   * Whether there is anything to ask. Most writes have nothing, and go on at once.
   *
   * @param object - That may define rules.
   */
  areMeant(object: JsonObject | undefined): boolean {
    const { type, view } = this.#seen;
    if (view.schema.hasRules === true) return true;
    return RuleQuestions.mayDefine(type) && object !== undefined && statesRules(object);
  }

  /** Before `ask`, which cannot wait, where something is meant. */
  async ready(): Promise<void> {
    await this.#checker.ready();
  }

  /**
   * @param object - As it is to be stored.
   * @param causes - What other checks have against it. Of some, rules must not be asked.
   */
  ask(object: JsonObject, old: JsonObject | undefined, causes: readonly Cause[]): Cause[] {
    const { type, view } = this.#seen;
    if (RuleQuestions.mayDefine(type)) return causes.length === 0 ? this.#define(object) : [];
    if (view.schema.hasRules !== true) return [];
    if (causes.some(({ reason }) => BLOCKING.includes(reason))) return [NOT_ASKED];
    const before = old === undefined ? undefined : toView(old, this.#seen);
    return this.#checker.check(toView(object, this.#seen), before, view.schema);
  }

  #define(definition: JsonObject): Cause[] {
    if (!statesRules(definition)) return [];
    const unusable = unusableRules(definition, this.#checker);
    this.#warnings = unusable.filter(({ isBroken }) => !isBroken).map(describeUnusable);
    return unusable.filter(({ isBroken }) => isBroken).map(brokenRule);
  }
}
