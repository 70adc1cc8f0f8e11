import { Log } from "@heddle/base/log";
import { type CliContext, UsageError } from "./command.ts";

/** The log of a long-running command: lines to standard error. */
export function processLog(
  context: CliContext,
  filter: string | undefined,
  format: string | undefined,
  target = "heddle",
): Log {
  const startedMs = context.clock.nowMs();
  const options = {
    filter: filter ?? "warn,heddle=info",
    format: format?.toUpperCase() === "JSON" ? "json" : "plain",
    uptimeMs: () => context.clock.nowMs() - startedMs,
    write: context.err,
  } as const;
  return Log.root(options, target);
}

/** What Go's log levels are called with us. */
const GO_LEVELS: Readonly<Record<string, string>> = {
  panic: "error",
  fatal: "error",
  error: "error",
  warn: "warn",
  warning: "warn",
  info: "info",
  debug: "debug",
  trace: "trace",
};

/** As `processLog`, with one level of Go's for everything. @throws UsageError */
export function goLog(context: CliContext, level: string, format: string, target: string): Log {
  const filter = GO_LEVELS[level.toLowerCase()];
  if (filter === undefined) {
    throw new UsageError(
      `--log-level is one of ${Object.keys(GO_LEVELS).join(", ")}, not "${level}"`,
    );
  }
  return processLog(context, filter, format, target);
}
