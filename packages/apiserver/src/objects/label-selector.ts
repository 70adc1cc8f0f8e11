import { digArray, isObject, type Json, own } from "@heddle/apiserver/json/value";
import { badRequest } from "@heddle/apiserver/status-error";

export type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist" | "GreaterThan" | "LessThan";

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** All requirements must hold. */
export type LabelSelector = readonly Requirement[];

const KEY = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-\w.]*[A-Za-z0-9])?)?$/;

export function isLabelKey(text: string): boolean {
  const slash = text.indexOf("/");
  const name = text.slice(slash + 1);
  return KEY.test(text) && name.length <= 63 && slash <= 253;
}

export function isLabelValue(text: string): boolean {
  return text.length <= 63 && VALUE.test(text);
}

/**
 * Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
 *
 * @throws StatusError 400 on anything else.
 */
export function parseLabelSelector(text: string): LabelSelector {
  const requirements: Requirement[] = [];
  // Commas inside of parentheses part values, not requirements.
  for (const part of text.match(/(?:[^,(]|\([^)]*\))+/g) ?? []) {
    if (part.trim() !== "") requirements.push(parseRequirement(part.trim()));
  }
  return requirements;
}

function parseRequirement(text: string): Requirement {
  const absent = /^!\s*(\S+)$/.exec(text);
  if (absent !== null) return requirement(text, absent[1]!, "DoesNotExist", []);
  const among = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(text);
  if (among !== null) {
    const values = among[3]!.split(",").map((value) => value.trim());
    return requirement(text, among[1]!, among[2] === "in" ? "In" : "NotIn", values);
  }
  const compared = /^([^\s=!<>]+)\s*(==|!=|=|<|>)\s*([^\s=!<>]*)$/.exec(text);
  if (compared === null) return requirement(text, text, "Exists", []);
  return requirement(text, compared[1]!, OPERATORS[compared[2]!]!, [compared[3]!]);
}

const OPERATORS: Readonly<Record<string, Operator>> = {
  "=": "In",
  "==": "In",
  "!=": "NotIn",
  ">": "GreaterThan",
  "<": "LessThan",
};

function requirement(
  text: string,
  key: string,
  operator: Operator,
  values: readonly string[],
): Requirement {
  const isNumeric = operator === "GreaterThan" || operator === "LessThan";
  const isGood = isLabelKey(key) && values.every(isNumeric ? isInteger : isLabelValue);
  if (!isGood) throw badRequest(`unable to parse requirement: "${text}"`);
  return { key, operator, values };
}

function isInteger(text: string): boolean {
  return /^-?\d{1,15}$/.test(text);
}

/** The requirements of a LabelSelector object: `matchLabels` and `matchExpressions`. */
export function selectorOf(object: Json | undefined): LabelSelector {
  const requirements: Requirement[] = [];
  const labels = own(object, "matchLabels");
  for (const [key, value] of Object.entries(isObject(labels) ? labels : {})) {
    requirements.push({ key, operator: "In", values: [String(value)] });
  }
  for (const expression of digArray(object, "matchExpressions")) {
    requirements.push({
      key: String(own(expression, "key")),
      operator: own(expression, "operator") as Operator,
      values: digArray(expression, "values").map(String),
    });
  }
  return requirements;
}

/** @param labels - `metadata.labels`, which may be absent. */
export function matchesLabels(selector: LabelSelector, labels: Json | undefined): boolean {
  for (const { key, operator, values } of selector) {
    const found = own(labels, key);
    const value = typeof found === "string" ? found : undefined;
    if (!holds(operator, value, values)) return false;
  }
  return true;
}

function holds(operator: Operator, value: string | undefined, values: readonly string[]): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "GreaterThan":
      return value !== undefined && isInteger(value) && Number(value) > Number(values[0]);
    case "LessThan":
      return value !== undefined && isInteger(value) && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
