import { Log } from "@heddle/base/log";
import type { CliContext } from "./command.ts";

/** The log of a long-running command: lines to standard error. */
export function processLog(
  context: CliContext,
  filter: string | undefined,
  format: string | undefined,
): Log {
  const startedMs = context.clock.nowMs();
  return Log.root({
    filter: filter ?? "warn,heddle=info",
    format: format?.toUpperCase() === "JSON" ? "json" : "plain",
    uptimeMs: () => context.clock.nowMs() - startedMs,
    write: context.err,
  });
}
