import type { LoadEstimator } from "./load.ts";

export interface Loaded {
  readonly load: LoadEstimator;
}

/**
 * Power of two choices: draws two at random and picks the one with less load. Nearly as good as the
 * least loaded of all, at constant cost, and no herd forms when many proxies hold the same loads.
 *
 * Hot: allocates nothing. Undefined if there is nothing to pick, which is no error.
 *
 * @param random - Uniform in [0, 1).
 */
export function pickOfTwo<E extends Loaded>(
  ready: readonly E[],
  nowMs: number,
  random: () => number,
): E | undefined {
  const count = ready.length;
  if (count < 2) return ready[0];
  const first = Math.floor(random() * count);
  // Drawn from one fewer and shifted past `first`, so that the two always differ.
  let second = Math.floor(random() * (count - 1));
  if (second >= first) second++;
  const a = ready[first]!;
  const b = ready[second]!;
  return a.load.load(nowMs) <= b.load.load(nowMs) ? a : b;
}
