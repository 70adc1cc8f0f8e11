import type { CelEnv, CelInput, CelResult } from "@bufbuild/cel";
import { messageOf } from "@heddle/base/errors";
import { moreFunctions } from "./functions.ts";

export type CelModule = typeof import("@bufbuild/cel");

/** What a rule may speak of. */
export interface Variables {
  readonly self: CelInput;
  /** Only of rules about a change. */
  readonly oldSelf?: CelInput;
}

/** A rule that can be evaluated. */
export interface Program {
  /** Whether it speaks of the object's state before. */
  readonly usesOld: boolean;
  /** How deep loops stand in each other. */
  readonly loops: number;
  run(variables: Variables): CelResult;
}

/** A rule, or the expression of its message, that cannot be evaluated, and why. */
export interface Unusable {
  /** The text is no expression at all; else it needs what this engine has not. */
  readonly isBroken: boolean;
  readonly why: string;
}

/** Longer expressions are not read. */
const MAX_EXPRESSION = 64 * 1024;

/** Reads and evaluates expressions of CEL, the Common Expression Language. */
export class CelEngine {
  readonly module: CelModule;
  readonly #env: CelEnv;
  readonly #functions: ReadonlySet<string>;

  /** Loaded when first needed: it takes a quarter of a second and 30 MB. */
  static async load(): Promise<CelEngine> {
    const module = await import("@bufbuild/cel");
    const { strings } = await import("@bufbuild/cel/ext");
    return new CelEngine(module, module.celEnv({ funcs: [...strings, ...moreFunctions(module)] }));
  }

  private constructor(module: CelModule, env: CelEnv) {
    this.module = module;
    this.#env = env;
    this.#functions = new Set([...BUILT_IN, ...[...env.funcs].map(({ name }) => name)]);
  }

  compile(expression: string): Program | Unusable {
    if (expression.length > MAX_EXPRESSION) return { isBroken: true, why: "it is too long" };
    try {
      const parsed = this.module.parse(expression);
      const found = lookThrough(parsed.expr);
      const unknown = [...found.functions].filter((name) => !this.#functions.has(name));
      if (unknown.length > 0) {
        return { isBroken: false, why: `it calls what is not known here: ${unknown.join(", ")}` };
      }
      const strange = [...found.names].filter((name) => !VARIABLES.includes(name));
      if (strange.length > 0) {
        return { isBroken: true, why: `undeclared reference to ${strange.join(", ")}` };
      }
      const run = this.module.plan(this.#env, parsed);
      return {
        usesOld: found.names.has("oldSelf"),
        loops: found.loops,
        run: (variables) => run(variables as unknown as Record<string, CelInput>),
      };
    } catch (error) {
      // The parser throws what it finds wrong with a text; optional values it does not know.
      return { isBroken: !/[.[{,]\s*\?/.test(expression), why: messageOf(error) };
    }
  }
}

export function isUnusable(made: Program | Unusable): made is Unusable {
  return "why" in made;
}

const VARIABLES: readonly string[] = ["self", "oldSelf"];

/** Operators that are no functions of the environment. */
const BUILT_IN: readonly string[] = ["_&&_", "_||_", "_?_:_", "_[_]", "@not_strictly_false", "@in"];

interface Found {
  readonly functions: Set<string>;
  /** Free variables, and types that are named. */
  readonly names: Set<string>;
  loops: number;
}

type Expr = NonNullable<ReturnType<CelModule["parse"]>["expr"]>;

/** Names of types, which stand in expressions as variables do. */
const TYPES: readonly string[] = [
  "bool",
  "bytes",
  "double",
  "duration",
  "int",
  "list",
  "map",
  "null_type",
  "string",
  "timestamp",
  "type",
  "uint",
];

function lookThrough(root: Expr | undefined): Found {
  const found: Found = { functions: new Set(), names: new Set(), loops: 0 };
  const visit = (expr: Expr | undefined, bound: readonly string[], depth: number): void => {
    const kind = expr?.exprKind;
    switch (kind?.case) {
      case "identExpr": {
        const { name } = kind.value;
        if (!bound.includes(name) && !TYPES.includes(name)) found.names.add(name);
        return;
      }
      case "selectExpr":
        visit(kind.value.operand, bound, depth);
        return;
      case "callExpr": {
        const { function: name, target, args } = kind.value;
        const namespace = namespaceOf(target, bound);
        found.functions.add(namespace === undefined ? name : `${namespace}.${name}`);
        if (namespace === undefined) visit(target, bound, depth);
        for (const arg of args) visit(arg, bound, depth);
        return;
      }
      case "listExpr":
        for (const element of kind.value.elements) visit(element, bound, depth);
        return;
      case "structExpr":
        for (const { keyKind, value } of kind.value.entries) {
          if (keyKind.case === "mapKey") visit(keyKind.value, bound, depth);
          visit(value, bound, depth);
        }
        return;
      case "comprehensionExpr": {
        const { iterVar, iterVar2, accuVar, iterRange, accuInit, ...rest } = kind.value;
        found.loops = Math.max(found.loops, depth + 1);
        visit(iterRange, bound, depth);
        visit(accuInit, bound, depth);
        const inside = [...bound, iterVar, iterVar2, accuVar];
        for (const part of [rest.loopCondition, rest.loopStep]) visit(part, inside, depth + 1);
        visit(rest.result, [...bound, accuVar], depth);
        return;
      }
      default:
    }
  };
  visit(root, [], 0);
  return found;
}

/** Of a function such as `sets.contains`: what stands before it is no value. */
function namespaceOf(target: Expr | undefined, bound: readonly string[]): string | undefined {
  const kind = target?.exprKind;
  if (kind?.case !== "identExpr") return undefined;
  const { name } = kind.value;
  return bound.includes(name) || VARIABLES.includes(name) ? undefined : name;
}
