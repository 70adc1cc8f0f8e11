import { POLICY_GROUP, refersTo } from "../refs.ts";

interface RouteSpec {
  readonly parentRefs?: readonly {
    readonly group?: string;
    readonly kind?: string;
    readonly port?: number;
  }[];
  readonly rules?: readonly unknown[];
}

/** Why a route of any kind is denied for its parents, or undefined. */
export function parentsProblem(spec: RouteSpec): string | undefined {
  const index = (spec.parentRefs ?? []).findIndex(
    (ref) => refersTo(ref, POLICY_GROUP, "EgressNetwork") && ref.port === undefined,
  );
  if (index < 0) return undefined;
  return `spec.parentRefs[${index}].port: is missing: an EgressNetwork as parent needs one`;
}

/** Why a TLSRoute or a TCPRoute is denied, or undefined: they have exactly one rule. */
export function streamRouteProblem(spec: RouteSpec): string | undefined {
  const count = spec.rules?.length ?? 0;
  const rules = count === 1 ? undefined : `spec.rules: has ${count} rules: write exactly one`;
  return parentsProblem(spec) ?? rules;
}
