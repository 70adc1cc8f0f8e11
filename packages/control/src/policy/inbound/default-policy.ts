export const DEFAULT_POLICIES = [
  "all-unauthenticated",
  "all-authenticated",
  "cluster-unauthenticated",
  "cluster-authenticated",
  "deny",
  "audit",
] as const;

/** Who may connect where nothing else says so. */
export type DefaultPolicy = (typeof DEFAULT_POLICIES)[number];

/** Undefined if there is no such policy. */
export function parseDefaultPolicy(text: string): DefaultPolicy | undefined {
  return DEFAULT_POLICIES.find((name) => name === text);
}

/** The policy of a port that requires identity. */
export function authenticatedTwin(policy: DefaultPolicy): DefaultPolicy {
  if (policy === "all-unauthenticated") return "all-authenticated";
  return policy === "cluster-unauthenticated" ? "cluster-authenticated" : policy;
}
