import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { MeshError } from "@heddle/base/errors";
import type { CliContext } from "./command.ts";

/** Linkerd's prefix comes first: its extensions are the ones that exist. */
const PREFIXES = ["linkerd-", "heddle-"] as const;

/** The program that a command beyond ours may be: `linkerd-NAME` on the PATH. */
export function findExtension(name: string, context: CliContext): string | undefined {
  // What is no plain name would look outside the PATH's folders.
  if (!/^[a-z0-9][a-z0-9-]*$/i.test(name)) return undefined;
  const folders = (context.env("PATH") ?? "").split(delimiter).filter((folder) => folder !== "");
  return PREFIXES.flatMap((prefix) => folders.map((folder) => join(folder, prefix + name))).find(
    isProgram,
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not ours to run: the next folder may have it.
    return false;
  }
}

/** Runs it in our place, with our own input and outputs. @returns 0, or 1 with a word of why. */
export async function runExtension(
  path: string,
  args: readonly string[],
  context: CliContext,
): Promise<number> {
  const child = spawn(path, args, { stdio: "inherit", signal: context.stop });
  try {
    const [code, signal] = await once(child, "close");
    if (code === 0) return 0;
    context.err(`${path}: ${code === null ? `ended by ${signal}` : `exit status ${code}`}`);
    return 1;
  } catch (cause) {
    if (context.stop.aborted) return 1;
    throw new MeshError("no_extension", "client", `Cannot run ${path}`, { cause });
  }
}
