import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface EndedOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end, while ours goes on with what else it does. */
export async function ended(
  command: readonly string[],
  { input = "", env = process.env }: EndedOptions = {},
): Promise<Ended> {
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ["pipe", "pipe", "pipe"], env });
  const texts = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.err += text;
  });
  // A program that reads nothing may be gone before it was all written.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [code, signal] = await once(child, "close");
  return { ...texts, code: code ?? 128 + (constants.signals[signal as NodeJS.Signals] ?? 0) };
}

/** @returns what it printed. @throws what it said if it failed. */
export async function output(
  command: readonly string[],
  options: EndedOptions = {},
): Promise<string> {
  const { code, out, err } = await ended(command, options);
  if (code === 0) return out;
  throw new Error(`Cannot run ${command.join(" ")}: it ended with ${code}: ${err}${out}`);
}
