import type { CheckResult } from "./check.ts";
import type { ExtensionCommand, FoundExtensions } from "./extension-search.ts";
import { hintFor } from "./hint.ts";
import { printable } from "./printable.ts";
import { runBounded } from "./run-bounded.ts";

/** On top of what the extension itself waits for its checks to come right. */
const GRACE_MS = 60_000;

export interface ExtensionRun {
  /** `--key=value` each, as the extension's `check` takes them. */
  readonly flags: readonly string[];
  readonly waitMs: number;
  readonly cliVersion: string;
  readonly onResult: (result: CheckResult) => void;
  /** After the results of each extension. */
  readonly onEnd: () => void;
  readonly signal: AbortSignal;
}

/**
 * Runs the checks of extensions, one after the other, and passes on what they tell.
 *
 * @returns whether none failed.
 */
export async function runExtensions(found: FoundExtensions, run: ExtensionRun): Promise<boolean> {
  let isSuccess = true;
  const tell = (results: readonly CheckResult[]): void => {
    for (const result of results) {
      if (result.result === "error") isSuccess = false;
      run.onResult(result);
    }
    run.onEnd();
  };
  for (const command of found.commands) tell(await checkExtension(command, run));
  for (const extension of found.missing) {
    const name = `linkerd-${extension}`;
    tell([
      {
        category: name,
        description: `Linkerd extension command ${name} exists`,
        result: "warning",
        error: `neither ${name} nor heddle-${extension} is an executable on the path`,
        hint: hintFor("extensions", run.cliVersion),
      },
    ]);
  }
  return isSuccess;
}

async function checkExtension(
  { name, command, args }: ExtensionCommand,
  run: ExtensionRun,
): Promise<readonly CheckResult[]> {
  const all = [...args, "check", ...run.flags, "--output=json"];
  const answer = await runBounded({
    command,
    args: all,
    timeoutMs: run.waitMs + GRACE_MS,
    signal: run.signal,
  });
  const results = answer.problem === undefined ? readResults(answer.stdout) : undefined;
  if (results !== undefined) return results;
  const said = [answer.problem, answer.stderr.trim() || answer.stdout.trim()];
  const error = said.filter((part) => part !== undefined && part !== "").join(": ");
  return [
    {
      category: name,
      description: `Running: ${[command, ...all].join(" ")}`,
      result: "error",
      error: printable(error === "" ? "it said nothing" : error),
      hint: hintFor("extensions", run.cliVersion),
    },
  ];
}

/** The results of a JSON answer; undefined if it is none. */
export function readResults(text: string): readonly CheckResult[] | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // The caller shows what was said instead.
    return undefined;
  }
  const categories = isMap(answer) ? answer["categories"] : undefined;
  if (!Array.isArray(categories)) return undefined;
  const results: CheckResult[] = [];
  for (const category of categories as readonly unknown[]) {
    if (!isMap(category) || typeof category["categoryName"] !== "string") return undefined;
    const { categoryName, checks } = category;
    // Go writes an empty list as null.
    if (checks === null || checks === undefined) continue;
    if (!Array.isArray(checks)) return undefined;
    for (const check of checks as readonly unknown[]) {
      const result = readResult(categoryName as string, check);
      if (result === undefined) return undefined;
      results.push(result);
    }
  }
  return results;
}

function readResult(category: string, check: unknown): CheckResult | undefined {
  if (!isMap(check)) return undefined;
  const { description, result, error, hint } = check;
  if (typeof description !== "string") return undefined;
  if (result !== "success" && result !== "warning" && result !== "error") return undefined;
  return {
    category: printable(category),
    description: printable(description),
    result,
    ...(typeof error === "string" && error !== "" ? { error: printable(error) } : {}),
    ...(typeof hint === "string" && hint !== "" ? { hint: printable(hint) } : {}),
  };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
