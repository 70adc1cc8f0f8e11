import type { Condition } from "@heddle/kube/types/meta";

export function condition(
  type: string,
  status: "True" | "False",
  reason: string,
  message: string,
): Condition {
  return { type, status, reason, message };
}

export function accepted(): Condition {
  return condition("Accepted", "True", "Accepted", "");
}

export function notAccepted(reason: string, message: string): Condition {
  return condition("Accepted", "False", reason, message);
}

/** In this order; when they last turned does not count. */
export function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  return (
    a.length === b.length &&
    a.every((left, index) => {
      const right = b[index]!;
      return (
        left.type === right.type &&
        left.status === right.status &&
        left.reason === right.reason &&
        (left.message ?? "") === (right.message ?? "") &&
        left.observedGeneration === right.observedGeneration
      );
    })
  );
}

/** Dates each condition: anew if it turned, else as it was. */
export function withTimes(
  wanted: readonly Condition[],
  before: readonly Condition[],
  now: string,
): Condition[] {
  return wanted.map((made) => {
    const known = before.find(({ type }) => type === made.type);
    const isSame = known?.status === made.status && known.lastTransitionTime !== undefined;
    return { ...made, lastTransitionTime: isSame ? known.lastTransitionTime! : now };
  });
}
