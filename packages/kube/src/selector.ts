import type { LabelSelector } from "./types/meta.ts";

type LabelMap = Readonly<Record<string, string>>;

/**
 * Whether labels match. No selector matches nothing, an empty one everything; an operator that we
 * do not know matches nothing, so that nothing is selected by mistake.
 */
export function matchesSelector(selector: LabelSelector | undefined, labels: LabelMap): boolean {
  if (selector === undefined || selector === null) return false;
  if (!matchesLabels(selector.matchLabels ?? {}, labels)) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case "In":
        if (value === undefined || !values.includes(value)) return false;
        break;
      case "NotIn":
        if (value !== undefined && values.includes(value)) return false;
        break;
      case "Exists":
        if (value === undefined) return false;
        break;
      case "DoesNotExist":
        if (value !== undefined) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

/** As lists and watches take it: `a=b,c in (d,e),!f`. Empty for one that matches everything. */
export function formatSelector({ matchLabels, matchExpressions }: LabelSelector): string {
  const requirements = Object.entries(matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions ?? []) {
    const list = `(${values.join(",")})`;
    if (operator === "In") requirements.push(`${key} in ${list}`);
    else if (operator === "NotIn") requirements.push(`${key} notin ${list}`);
    else requirements.push(operator === "Exists" ? key : `!${key}`);
  }
  return requirements.join(",");
}

/** Every pair of `wanted` is in `labels`; an empty `wanted` matches everything. */
export function matchesLabels(wanted: LabelMap, labels: LabelMap): boolean {
  for (const [key, value] of Object.entries(wanted)) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  return true;
}
