import type { Log } from "@heddle/base/log";
import { Counter } from "@heddle/base/metrics";

/** Where bugs in a connection's handlers end: one log line with its stack, and a count. */
export interface Guard {
  /** Called after the socket was destroyed. Must not throw. */
  report(bug: unknown): void;
}

/** For everything that has a log. */
export class LoggingGuard implements Guard {
  readonly bugs: Counter;
  readonly #log: Log;

  constructor(log: Log, bugs: Counter = new Counter()) {
    this.#log = log;
    this.bugs = bugs;
  }

  report(bug: unknown): void {
    this.bugs.inc();
    const stack = bug instanceof Error ? (bug.stack ?? bug.message) : String(bug);
    this.#log.error("connection handler failed", { stack });
  }
}

/** Where nobody gave a guard: the process warns on stderr, with the stack, and goes on. */
export const WARNING_GUARD: Guard = {
  report: (bug) => process.emitWarning(bug instanceof Error ? bug : String(bug)),
};
