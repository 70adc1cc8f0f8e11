/**
 * The executable `linkerd-cni`, which `scripts/cni-plugin.ts` makes one file of: a container runtime
 * calls it for every pod of its node, so nothing is loaded that it does not need.
 */
import { Log } from "@heddle/base/log";
import { runPlugin } from "./plugin.ts";

/** Answers the one call that this process was started for. @returns the exit code. */
export async function runPluginProcess(): Promise<number> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort(signal));
  const startedMs = performance.now();
  const log = Log.root(
    {
      filter: "warn",
      uptimeMs: () => performance.now() - startedMs,
      write: (line) => process.stderr.write(`${line}\n`),
    },
    "linkerd-cni",
  );
  return await runPlugin({
    env: (name) => process.env[name],
    stdin: process.stdin,
    answer: (text) => process.stdout.write(`${text}\n`),
    log,
    signal: stop.signal,
  });
}

if (import.meta.main) process.exitCode = await runPluginProcess();
