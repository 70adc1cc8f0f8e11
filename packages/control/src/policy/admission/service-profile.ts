import { parseGoDuration } from "@heddle/model/go-duration";
import { parseMilliQuantity } from "@heddle/model/quantity";
import { quoted } from "./quoted.ts";

/** Conditions nest without end in the format, not here: more is refused, so no stack overflows. */
const MAX_DEPTH = 64;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const REQUEST_FIELDS = ["pathRegex", "method", "all", "any", "not"];
const RESPONSE_FIELDS = ["all", "any", "not", "status"];

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown, path: string) => void;

/**
 * Why a ServiceProfile is denied, or undefined. Reads it strictly: an unknown field or a value of a
 * wrong type is a reason. As in Linkerd, null and an absent field are the same, list entries aside.
 */
export function serviceProfileProblem(name: string, spec: unknown): string | undefined {
  try {
    if (name.length > 253 || !DNS_SUBDOMAIN.test(name)) {
      throw refusal("metadata.name", `${quoted(name)} is no DNS name: use the host's`);
    }
    optional(spec, "spec", checkSpec);
    return undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
}

function checkSpec(value: unknown, path: string): void {
  const spec = fieldsOf(value, path, ["routes", "retryBudget", "dstOverrides", "opaquePorts"]);
  optional(spec["routes"], `${path}.routes`, each(checkRoute));
  optional(spec["retryBudget"], `${path}.retryBudget`, checkBudget);
  optional(spec["dstOverrides"], `${path}.dstOverrides`, each(checkOverride));
  optional(spec["opaquePorts"], `${path}.opaquePorts`, each(checkText));
}

function checkRoute(value: unknown, path: string): void {
  const known = ["name", "condition", "isRetryable", "timeout", "responseClasses"];
  const route = fieldsOf(value, path, known);
  optional(route["name"], `${path}.name`, checkText);
  if (isUnset(route["name"]) || route["name"] === "") {
    throw refusal(`${path}.name`, "is missing: name the route");
  }
  if (isUnset(route["condition"])) throw refusal(`${path}.condition`, "is missing: add one");
  checkMatch(route["condition"], `${path}.condition`, REQUEST_FIELDS, 0);
  optional(route["isRetryable"], `${path}.isRetryable`, checkFlag);
  optional(route["timeout"], `${path}.timeout`, checkTimeout);
  optional(route["responseClasses"], `${path}.responseClasses`, each(checkClass));
}

function checkClass(value: unknown, path: string): void {
  const responseClass = fieldsOf(value, path, ["condition", "isFailure"]);
  const condition = responseClass["condition"];
  if (isUnset(condition)) throw refusal(`${path}.condition`, "is missing: add one");
  checkMatch(condition, `${path}.condition`, RESPONSE_FIELDS, 0);
  optional(responseClass["isFailure"], `${path}.isFailure`, checkFlag);
}

function checkMatch(value: unknown, path: string, known: readonly string[], depth: number): void {
  if (depth > MAX_DEPTH) throw refusal(path, `is nested more than ${MAX_DEPTH} deep: flatten it`);
  const match = fieldsOf(value, path, known);
  if (known.every((field) => isUnset(match[field]) || match[field] === "")) {
    throw refusal(path, `is empty: set one of ${known.join(", ")}`);
  }
  const inner: Check = (child, childPath) => checkMatch(child, childPath, known, depth + 1);
  optional(match["pathRegex"], `${path}.pathRegex`, checkText);
  optional(match["method"], `${path}.method`, checkText);
  optional(match["status"], `${path}.status`, checkStatus);
  optional(match["all"], `${path}.all`, each(inner));
  optional(match["any"], `${path}.any`, each(inner));
  optional(match["not"], `${path}.not`, inner);
}

function checkStatus(value: unknown, path: string): void {
  const status = fieldsOf(value, path, ["min", "max"]);
  const min = statusOf(status["min"], `${path}.min`);
  const max = statusOf(status["max"], `${path}.max`);
  if (min !== 0 && max !== 0 && max < min) {
    throw refusal(`${path}.max`, `${max} is below min, which is ${min}: swap them`);
  }
}

/** 0 says that there is none. */
function statusOf(value: unknown, path: string): number {
  if (isUnset(value) || value === 0) return 0;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 100 || value > 599) {
    throw refusal(path, "is no status: write a whole number from 100 to 599");
  }
  return value;
}

function checkBudget(value: unknown, path: string): void {
  const budget = fieldsOf(value, path, ["retryRatio", "minRetriesPerSecond", "ttl"]);
  optional(budget["retryRatio"], `${path}.retryRatio`, (ratio, field) => {
    if (typeof ratio !== "number" || ratio < 0) throw refusal(field, "write a number, 0 or more");
  });
  optional(budget["minRetriesPerSecond"], `${path}.minRetriesPerSecond`, (rate, field) => {
    const isRate = typeof rate === "number" && rate >= 0 && rate <= 0xffffffff;
    if (!isRate || !Number.isInteger(rate)) throw refusal(field, "write a whole number, 0 or more");
  });
  if (isUnset(budget["ttl"])) throw refusal(`${path}.ttl`, "is missing: write one like 10s");
  checkDuration(budget["ttl"], `${path}.ttl`);
}

function checkOverride(value: unknown, path: string): void {
  const override = fieldsOf(value, path, ["authority", "weight"]);
  optional(override["authority"], `${path}.authority`, checkText);
  optional(override["weight"], `${path}.weight`, (weight, field) => {
    if (!isQuantity(weight)) throw refusal(field, "is no quantity: write one like 500m");
  });
}

function isQuantity(value: unknown): boolean {
  if (typeof value !== "number" && typeof value !== "string") return false;
  try {
    parseMilliQuantity(value);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

function checkTimeout(value: unknown, path: string): void {
  if (value !== "") checkDuration(value, path);
}

function checkDuration(value: unknown, path: string): void {
  checkText(value, path);
  try {
    parseGoDuration(value as string);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw refusal(path, `${quoted(value)} is no duration: write one like 10s or 1m30s`);
  }
}

function checkText(value: unknown, path: string): void {
  if (typeof value !== "string") throw refusal(path, "is no string: quote it");
}

function checkFlag(value: unknown, path: string): void {
  if (typeof value !== "boolean") throw refusal(path, "is neither true nor false: write one");
}

function each(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) throw refusal(path, "is no list: write one");
    for (const [index, entry] of value.entries()) {
      const at = `${path}[${index}]`;
      if (isUnset(entry)) throw refusal(at, "is null: remove it or fill it in");
      check(entry, at);
    }
  };
}

function optional(value: unknown, path: string, check: Check): void {
  if (!isUnset(value)) check(value, path);
}

function fieldsOf(value: unknown, path: string, known: readonly string[]): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refusal(path, `is no object: write one with ${known.join(", ")}`);
  }
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown === undefined) return value as Fields;
  throw refusal(`${path}.${unknown}`, `is unknown: remove it, or use one of ${known.join(", ")}`);
}

function isUnset(value: unknown): boolean {
  return value === undefined || value === null;
}

function refusal(path: string, problem: string): SyntaxError {
  return new SyntaxError(`${path}: ${problem}`);
}
