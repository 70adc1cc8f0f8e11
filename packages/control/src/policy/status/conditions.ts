import type { Condition, KubeObject } from "@heddle/kube/types/meta";
import type { StatusChange } from "./keys.ts";

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

/**
 * The status of an object that has nothing in it but conditions, and perhaps a count of workloads;
 * undefined if it is right. Conditions of other types are others' and stay.
 */
export function conditionsChange(
  object: KubeObject,
  before: readonly Condition[] | undefined,
  wanted: readonly Condition[],
  now: string,
  {
    count,
  }: { readonly count?: { readonly before: number | undefined; readonly now: number } } = {},
): StatusChange | undefined {
  const { generation, resourceVersion } = object.metadata;
  const isOurs = ({ type }: Condition): boolean => wanted.some((one) => one.type === type);
  const ours = (before ?? []).filter(isOurs);
  const others = (before ?? []).filter((one) => !isOurs(one));
  // Linkerd's own statuses tell no generation; those that are ours alone do.
  const made =
    count === undefined || generation === undefined
      ? wanted
      : wanted.map((one) => ({ ...one, observedGeneration: generation }));
  const isSame = sameConditions(ours, made);
  if (isSame && count?.before === count?.now) return undefined;
  return {
    resourceVersion,
    status: {
      conditions: [...others, ...withTimes(made, ours, now)],
      ...(count === undefined ? {} : { matchedWorkloads: count.now }),
    },
    isMinor: isSame,
  };
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
