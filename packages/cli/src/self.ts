import { fileURLToPath } from "node:url";

/** How to start this CLI as a child process: the same Node, the same flags. */
export function selfCommand(): { readonly command: string; readonly args: readonly string[] } {
  const script = fileURLToPath(new URL("./main.ts", import.meta.url));
  return { command: process.execPath, args: ["--disable-warning=ExperimentalWarning", script] };
}
