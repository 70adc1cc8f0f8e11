import { spawn } from "node:child_process";
import { once } from "node:events";
import { MeshError } from "@heddle/base/errors";
import { extensionFiles } from "./check/extension-search.ts";
import type { CliContext } from "./command.ts";

/** The program that a command beyond ours may be: `linkerd-NAME` on the PATH. */
export function findExtension(name: string, context: CliContext): string | undefined {
  const files = extensionFiles(context.env("PATH") ?? "");
  // Linkerd's come first: they are the ones that exist.
  return files.get(`linkerd-${name}`) ?? files.get(`heddle-${name}`);
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
