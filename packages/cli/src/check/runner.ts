import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import { type Category, type Check, type CheckResult, failed, type Verdict } from "./check.ts";
import type { CheckedMesh } from "./checked-mesh.ts";
import { hintFor } from "./hint.ts";
import { printable, printableLine, printableList } from "./printable.ts";

const ATTEMPT_MS = 30_000;
const RETRY_MS = 5_000;

export interface RunOptions {
  readonly mesh: CheckedMesh;
  /** How long, from now, failures of checks that may come right are tried again. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly onResult: (result: CheckResult) => void;
  /** What is waited for; undefined once it came, or did not. */
  readonly onWaiting?: ((text: string | undefined) => void) | undefined;
  readonly stop: AbortSignal;
  readonly retryMs?: number;
  readonly attemptMs?: number;
}

/**
 * Runs checks one after the other, in the order given, until one that is fatal fails.
 *
 * @returns whether nothing failed but warnings. Rejects with the reason of `stop` when that aborts.
 */
export async function runChecks(
  categories: readonly Category[],
  options: RunOptions,
): Promise<boolean> {
  const deadlineMs = options.clock.nowMs() + options.waitMs;
  let isSuccess = true;
  for (const { name, checks } of categories) {
    for (const check of checks) {
      const verdict = await untilSettled(check, deadlineMs, options);
      if (verdict.kind === "skipped") continue;
      options.onResult(resultOf(name, check, verdict, options.mesh.options.cliVersion));
      if (verdict.kind === "passed") continue;
      if (check.isWarning !== true) isSuccess = false;
      if (check.isFatal === true) return false;
    }
  }
  return isSuccess;
}

async function untilSettled(
  check: Check,
  deadlineMs: number,
  options: RunOptions,
): Promise<Verdict> {
  const { clock, onWaiting, stop, retryMs = RETRY_MS } = options;
  let hasWaited = false;
  try {
    for (;;) {
      const verdict = await attempt(check, options);
      if (verdict.kind !== "failed" || check.isRetried !== true) return verdict;
      if (clock.nowMs() >= deadlineMs) return verdict;
      hasWaited = true;
      onWaiting?.(
        check.showsWhy === true ? printableLine(verdict.why) : "waiting for check to complete",
      );
      await sleep(retryMs, undefined, { signal: stop });
    }
  } finally {
    if (hasWaited) onWaiting?.(undefined);
  }
}

async function attempt(check: Check, options: RunOptions): Promise<Verdict> {
  const { mesh, stop, attemptMs = ATTEMPT_MS } = options;
  stop.throwIfAborted();
  const late = AbortSignal.timeout(attemptMs);
  try {
    return await check.run(mesh, AbortSignal.any([stop, late]));
  } catch (error) {
    stop.throwIfAborted();
    if (late.aborted) return failed(`no answer within ${attemptMs / 1000} s`);
    if (error instanceof MeshError) return failed(messageOf(error));
    throw error;
  }
}

function resultOf(
  category: string,
  check: Check,
  verdict: Exclude<Verdict, { readonly kind: "skipped" }>,
  cliVersion: string,
): CheckResult {
  const { description, anchor, isWarning } = check;
  if (verdict.kind === "passed") {
    const detail = verdict.detail === undefined ? "" : `\n${verdict.detail}`;
    return { category, description: printable(description + detail), result: "success" };
  }
  return {
    category,
    description,
    result: isWarning === true ? "warning" : "error",
    error: printableList(verdict.why, verdict.list),
    hint: hintFor(anchor, cliVersion),
  };
}
