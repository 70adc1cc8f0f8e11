import { join } from "node:path";
import type { CliContext } from "./command.ts";

/** Where a machine keeps its membership: the flag, `HEDDLE_STATE_DIR`, or the user's usual place. */
export function stateFolderPath(flag: string | undefined, context: CliContext): string {
  const named = flag ?? context.env("HEDDLE_STATE_DIR");
  if (named !== undefined) return named;
  if (process.getuid?.() === 0) return "/var/lib/heddle";
  const home = context.env("HOME") ?? ".";
  return join(context.env("XDG_STATE_HOME") ?? join(home, ".local", "state"), "heddle");
}
