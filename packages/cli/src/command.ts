import type { Clock } from "@heddle/base/clock";

/** Everything a command touches. Tests pass their own. */
export interface CliContext {
  /** One line to standard output. */
  readonly out: (line: string) => void;
  /** One line to standard error. */
  readonly err: (line: string) => void;
  readonly env: (name: string) => string | undefined;
  /** Aborted by SIGINT and SIGTERM. */
  readonly stop: AbortSignal;
  /** Colours may be used: a terminal, and no `NO_COLOR`. */
  readonly hasColor: boolean;
  readonly clock: Clock;
  /** One line that comes and goes while something is waited for. Undefined where none can. */
  readonly progress?: (text: string | undefined) => void;
  /** The name we were called by: `heddle`, which is the default, or `linkerd`. */
  readonly program?: string;
}

export interface Command {
  readonly name: string;
  /** One line for the table of commands. */
  readonly summary: string;
  readonly usage: string;
  /** Commands below this one, of which the first argument names one. */
  readonly commands?: readonly CommandEntry[];
  /** @returns the exit code: 0 done, 1 failed, 2 wrong arguments, 64 wrong settings. */
  run(args: readonly string[], context: CliContext): Promise<number>;
  /**
   * For a shell that completes: what may stand at the last of `words`, which are neither flags nor
   * their values. Files are offered where a command does not say.
   */
  complete?(
    words: readonly string[],
    said: { readonly kubeconfig?: string; readonly context?: string; readonly namespace?: string },
    context: CliContext,
  ): Promise<readonly string[]>;
}

/** A command before it is loaded. */
export interface CommandEntry {
  readonly name: string;
  /** A shorter name. */
  readonly alias?: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Wrong arguments. The message is printed with the command's usage, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}
