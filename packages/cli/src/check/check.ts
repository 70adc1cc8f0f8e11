import type { CheckedMesh } from "./checked-mesh.ts";

/** What one attempt of a check found. */
export type Verdict =
  | { readonly kind: "passed"; readonly detail?: string }
  /** Does not apply here. Nothing is told of it, and it counts as success. */
  | { readonly kind: "skipped" }
  | {
      readonly kind: "failed";
      readonly why: string;
      /** What of it is wrong, one by one. */
      readonly list?: readonly string[];
    };

export const PASSED: Verdict = { kind: "passed" };
export const SKIPPED: Verdict = { kind: "skipped" };

export function failed(why: string): Verdict {
  return { kind: "failed", why };
}

/** Fails with a list of what is wrong; an empty list passes. */
export function failedFor(why: string, list: readonly string[]): Verdict {
  return list.length === 0 ? PASSED : { kind: "failed", why, list };
}

export interface Check {
  /** Linkerd's words: scripts look for them. */
  readonly description: string;
  /** Of the check's place on its page. */
  readonly anchor: string;
  /** Its failure ends the run: what follows would only repeat it. */
  readonly isFatal?: boolean;
  /** Its failure does not fail the run. */
  readonly isWarning?: boolean;
  /** Tried again until the run's deadline. */
  readonly isRetried?: boolean;
  /** While it is tried again, a terminal shows why it still fails. */
  readonly showsWhy?: boolean;
  /** A `MeshError` that it throws counts as its failure. */
  run(mesh: CheckedMesh, signal: AbortSignal): Promise<Verdict>;
}

export interface Category {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** What is told of a check. */
export interface CheckResult {
  readonly category: string;
  readonly description: string;
  readonly result: "success" | "warning" | "error";
  /** Only of a failure. */
  readonly error?: string;
  /** The address that helps, of a failure. */
  readonly hint?: string;
}
