import type { HttpLocalRateLimitPolicy } from "@heddle/kube/types/linkerd";
import { POLICY_GROUP, refersTo } from "../refs.ts";

/** Why an HTTPLocalRateLimitPolicy is denied, or undefined. Shapes are held by the schema. */
export function rateLimitProblem(spec: HttpLocalRateLimitPolicy["spec"]): string | undefined {
  if (!refersTo(spec.targetRef, POLICY_GROUP, "Server")) {
    return `spec.targetRef: ${spec.targetRef.kind} cannot be a target: name a Server of ${POLICY_GROUP}`;
  }
  const total = spec.total?.requestsPerSecond;
  if (total === 0) return "spec.total.requestsPerSecond: is 0: write 1 or more";
  const identity = spec.identity?.requestsPerSecond;
  const problem = partProblem("spec.identity", identity, total);
  if (problem !== undefined) return problem;
  for (const [index, override] of (spec.overrides ?? []).entries()) {
    const path = `spec.overrides[${index}]`;
    const wrong = partProblem(path, override.requestsPerSecond, total);
    if (wrong !== undefined) return wrong;
    const client = override.clientRefs.findIndex((ref) => !refersTo(ref, "core", "ServiceAccount"));
    if (client >= 0) return `${path}.clientRefs[${client}]: is no ServiceAccount: name one`;
  }
  return undefined;
}

function partProblem(
  path: string,
  rate: number | undefined,
  total: number | undefined,
): string | undefined {
  if (rate === 0) return `${path}.requestsPerSecond: is 0: write 1 or more`;
  if (rate === undefined || total === undefined || rate <= total) return undefined;
  return `${path}.requestsPerSecond: ${rate} is above spec.total, which is ${total}: lower it`;
}
