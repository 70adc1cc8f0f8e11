import { equal, isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import { fieldOf, type Rule, type Schema } from "@heddle/apiserver/schema/schema";
import { joinPath } from "@heddle/apiserver/schema/walk";
import type { Cause } from "@heddle/apiserver/status-error";
import { CelEngine, isUnusable, type Program, type Unusable } from "./engine.ts";
import { longest, toCel } from "./values.ts";

/** After so many problems the rest is not looked for. */
const MAX_CAUSES = 64;

/** Steps that a rule may take at most, by the length of the lists that it may loop over. */
const MAX_STEPS = 5_000_000;

/** A rule that the server does not keep, because it cannot. */
export interface UnusableRule extends Unusable {
  /** Where it stands in its definition. */
  readonly path: string;
  readonly rule: Rule;
}

/** Keeps the rules that schemas of custom resources state in CEL: `x-kubernetes-validations`. */
export class RuleChecker {
  #engine: CelEngine | undefined;
  #loading: Promise<void> | undefined;
  readonly #programs = new WeakMap<Rule, Program | Unusable>();
  readonly #messages = new WeakMap<Rule, Program | Unusable>();

  /** Before `check`, of schemas that have rules at all. */
  async ready(): Promise<void> {
    if (this.#engine !== undefined) return;
    this.#loading ??= CelEngine.load().then((engine) => {
      this.#engine = engine;
    });
    await this.#loading;
  }

  /**
   * Everything that an object's rules have against it. Rules about a change are asked only where
   * both states are there; of what has not changed, nothing is held against its author.
   */
  check(object: JsonObject, old: JsonObject | undefined, schema: Schema): Cause[] {
    const causes: Cause[] = [];
    this.#visit({ value: object, old, schema, path: "" }, causes);
    return causes.slice(0, MAX_CAUSES);
  }

  /** Rules of a schema that cannot be evaluated. */
  unusable(schema: Schema, path = ""): UnusableRule[] {
    const found: UnusableRule[] = [];
    for (const [at, rule] of (schema.rules ?? []).entries()) {
      const program = rule.usesOptionals ? OPTIONALS : this.#program(rule);
      const where = `${path}.x-kubernetes-validations[${at}]`;
      if (isUnusable(program)) found.push({ ...program, path: where, rule });
    }
    const below = (part: Schema | undefined, step: string): void => {
      if (part?.hasRules === true) found.push(...this.unusable(part, `${path}.${step}`));
    };
    for (const [key, part] of schema.properties ?? []) below(part, `properties[${key}]`);
    below(schema.additionalProperties, "additionalProperties");
    below(schema.items, "items");
    return found;
  }

  #visit(node: Checked, causes: Cause[]): void {
    const { value, old, schema, path } = node;
    if (schema.hasRules !== true || value === null || causes.length >= MAX_CAUSES) return;
    // Whatever is wrong with it was wrong before.
    if (old !== undefined && equal(value, old)) return;
    for (const rule of schema.rules ?? []) this.#ask(rule, node, causes);
    if (Array.isArray(value)) {
      const { items } = schema;
      if (items?.hasRules !== true) return;
      for (const [at, item] of value.entries()) {
        const before = correlated(item, old, schema);
        this.#visit({ value: item, old: before, schema: items, path: joinPath(path, at) }, causes);
      }
    } else if (isObject(value)) {
      for (const [key, field] of Object.entries(value)) {
        const part = fieldOf(schema, key);
        if (part?.hasRules !== true) continue;
        const below = pathBelow(path, key, schema);
        this.#visit({ value: field, old: own(old, key), schema: part, path: below }, causes);
      }
    }
  }

  #ask(rule: Rule, node: Checked, causes: Cause[]): void {
    const program = this.#program(rule);
    // It is told of when its definition is served.
    if (rule.usesOptionals || isUnusable(program)) return;
    if (program.usesOld && node.old === undefined) return;
    const { value, old, schema } = node;
    if (longest(value) ** program.loops > MAX_STEPS) {
      causes.push(errorOf(node, `the value is too large for rule: ${textOf(rule)}`));
      return;
    }
    const { module } = this.#engine!;
    const see = (state: Json) => toCel(state, schema, (kind, text) => this.#time(kind, text));
    const variables = {
      self: see(value),
      ...(program.usesOld && old !== undefined ? { oldSelf: see(old) } : {}),
    };
    const result = program.run(variables);
    if (result === true) return;
    if (result === false) {
      causes.push(causeOf(rule, node, this.#message(rule, variables)));
      return;
    }
    const why = module.isCelError(result) ? inWords(result.message) : "the result is no boolean";
    causes.push(errorOf(node, `${why} evaluating rule: ${textOf(rule)}`));
  }

  #message(rule: Rule, variables: Parameters<Program["run"]>[0]): string {
    if (rule.messageExpression !== undefined) {
      const program = this.#compiled(this.#messages, rule, rule.messageExpression);
      const made = isUnusable(program) ? undefined : program.run(variables);
      if (typeof made === "string" && made.trim() !== "" && !made.includes("\n"))
        return made.trim();
    }
    return rule.message === undefined ? `failed rule: ${rule.rule.trim()}` : rule.message.trim();
  }

  #program(rule: Rule): Program | Unusable {
    return this.#compiled(this.#programs, rule, rule.rule);
  }

  #compiled(
    known: WeakMap<Rule, Program | Unusable>,
    rule: Rule,
    expression: string,
  ): Program | Unusable {
    let program = known.get(rule);
    if (program === undefined) {
      program = this.#engine!.compile(expression);
      known.set(rule, program);
    }
    return program;
  }

  /** A text that is none stays one: the schema has said so already. */
  #time(kind: "timestamp" | "duration", text: string) {
    const made = this.#engine!.module.run(`${kind}(text)`, { text });
    return this.#engine!.module.isCelError(made) ? text : made;
  }
}

interface Checked {
  readonly value: Json;
  readonly old: Json | undefined;
  readonly schema: Schema;
  readonly path: string;
}

const OPTIONALS: Unusable = { isBroken: false, why: "optionalOldSelf is not known here" };

/** The same item in the list's state before, where items have an identity. */
function correlated(
  item: Json,
  old: Json | undefined,
  { listType, listMapKeys }: Schema,
): Json | undefined {
  if (listType !== "map" || !Array.isArray(old)) return undefined;
  const keys = listMapKeys ?? [];
  return old.find((before) => keys.every((key) => equal(own(before, key), own(item, key))));
}

/** Kubernetes' words for what happens most. */
function inWords(message: string): string {
  return message.replace(/^field not found: /, "no such key: ");
}

function textOf({ message, rule }: Rule): string {
  return (message ?? rule).trim();
}

function causeOf(rule: Rule, { value, path }: Checked, detail: string): Cause {
  const field = path === "" ? ROOT : path;
  const blamed = rule.fieldPath === undefined ? field : `${path}${pathText(rule.fieldPath, path)}`;
  // Maps and lists are not shown.
  const shown = typeof value === "object" ? "" : `: ${JSON.stringify(value)}`;
  switch (rule.reason) {
    case "FieldValueForbidden":
      return { reason: rule.reason, message: `Forbidden: ${detail}`, field: blamed };
    case "FieldValueRequired":
      return { reason: rule.reason, message: `Required value: ${detail}`, field: blamed };
    case "FieldValueDuplicate":
      return { reason: rule.reason, message: `Duplicate value${shown}`, field: blamed };
    default: {
      const message = `Invalid value${shown}: ${detail}`;
      return { reason: "FieldValueInvalid", message, field: blamed };
    }
  }
}

/** A rule that could not be asked of a value, which is known by its type then. */
function errorOf({ schema, path }: Checked, detail: string): Cause {
  const type = JSON.stringify(schema.type ?? "object");
  const field = path === "" ? ROOT : path;
  return { reason: "FieldValueInvalid", message: `Invalid value: ${type}: ${detail}`, field };
}

/** As Kubernetes calls the whole object where it says what is wrong with it. */
const ROOT = "<nil>";

/** At the root there is nothing for the dot in front to part. */
function pathText(fieldPath: string, path: string): string {
  return path === "" ? fieldPath.replace(/^\./, "") : fieldPath;
}

/** Of a field, or of a key of a map. */
function pathBelow(path: string, key: string, schema: Schema): string {
  return schema.properties?.has(key) === true ? joinPath(path, key) : `${path}[${key}]`;
}
