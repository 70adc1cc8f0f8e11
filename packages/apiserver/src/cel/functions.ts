import { isIP } from "node:net";
import type { CelFunc, CelList, CelValue } from "@bufbuild/cel";
import { hasFormat } from "@heddle/apiserver/schema/formats";
import type { CelModule } from "./engine.ts";

/** Functions that Kubernetes adds to CEL, as far as rules of schemas are likely to call them. */
export function moreFunctions({ CelScalar, celFunc, celMethod, listType }: CelModule): CelFunc[] {
  const { BOOL, DYN, INT, STRING } = CelScalar;
  const list = listType(DYN);
  const indexOf = (values: CelList, wanted: CelValue, last: boolean): bigint => {
    const all = [...values];
    const at = last ? all.findLastIndex(is(wanted)) : all.findIndex(is(wanted));
    return BigInt(at);
  };
  const extreme = (values: CelList, isBetter: (a: CelValue, b: CelValue) => boolean): CelValue => {
    const [first, ...rest] = values;
    if (first === undefined) throw new Error("min and max are of lists that are not empty");
    return rest.reduce((best, value) => (isBetter(value, best) ? value : best), first);
  };
  return [
    celMethod("isSorted", list, [], BOOL, function () {
      const all = [...this];
      return all.every((value, at) => at === 0 || !isLess(value, all[at - 1]!));
    }),
    celMethod("sum", list, [], DYN, function () {
      let total: bigint | number = 0n;
      for (const value of this) {
        if (typeof value === "bigint" && typeof total === "bigint") total += value;
        else total = Number(total) + Number(value);
      }
      return total;
    }),
    celMethod("min", list, [], DYN, function () {
      return extreme(this, isLess);
    }),
    celMethod("max", list, [], DYN, function () {
      return extreme(this, (a, b) => isLess(b, a));
    }),
    celMethod("indexOf", list, [DYN], INT, function (wanted) {
      return indexOf(this, wanted, false);
    }),
    celMethod("lastIndexOf", list, [DYN], INT, function (wanted) {
      return indexOf(this, wanted, true);
    }),
    celFunc("isURL", [STRING], BOOL, (text) => URL.canParse(text)),
    celFunc("isIP", [STRING], BOOL, (text) => isIP(text) !== 0),
    celFunc("isCIDR", [STRING], BOOL, (text) => hasFormat(text, "cidr")),
    celFunc("isQuantity", [STRING], BOOL, (text) => hasFormat(text, "quantity")),
    celFunc("sets.contains", [list, list], BOOL, containsAll),
    celFunc(
      "sets.equivalent",
      [list, list],
      BOOL,
      (a, b) => containsAll(a, b) && containsAll(b, a),
    ),
    celFunc("sets.intersects", [list, list], BOOL, (a, b) =>
      [...a].some((value) => [...b].some(is(value))),
    ),
  ];
}

function containsAll(list: CelList, wanted: CelList): boolean {
  const all = [...list];
  return [...wanted].every((value) => all.some(is(value)));
}

/** Equality of scalars; a number is the same whatever its type. */
function is(wanted: CelValue): (value: CelValue) => boolean {
  return (value) => {
    if (isNumber(value) && isNumber(wanted)) return Number(value) === Number(wanted);
    return value === wanted;
  };
}

function isNumber(value: CelValue): value is bigint | number {
  return typeof value === "bigint" || typeof value === "number";
}

function isLess(a: CelValue, b: CelValue): boolean {
  if (isNumber(a) && isNumber(b)) return a < b;
  if (typeof a === "string" && typeof b === "string") return a < b;
  throw new Error("only numbers, and only texts, can be compared");
}
