import { fileURLToPath } from "node:url";

/**
 * For the runtime of a control plane. Its heap is what ten thousand proxies hold and little else: a
 * young generation of 4 MB in place of 16 saves some 50 MB, for more collections of less each.
 */
export const CONTROL_FLAGS: readonly string[] = ["--max-semi-space-size=4"];

/** How to start a command of this CLI as a child process: the same Node, the flags that it needs. */
export function selfCommand(name?: string): {
  readonly command: string;
  readonly args: readonly string[];
} {
  const script = fileURLToPath(new URL("./main.ts", import.meta.url));
  const own = name === "control" ? CONTROL_FLAGS : [];
  return {
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", ...own, script],
  };
}
