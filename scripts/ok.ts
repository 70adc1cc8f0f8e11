/** `npm run ok`: format, lint, types, layers and the fast tests, each with its time. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./test-suites.ts";

const bin = (name: string): string => join(ROOT, "node_modules", ".bin", name);

const STEPS: readonly (readonly [string, string, ...string[]])[] = [
  ["format and lint", bin("biome"), "check", "."],
  ["types", bin("tsc"), "--noEmit"],
  ["layers", process.execPath, "scripts/layers.ts"],
  [
    "fast tests",
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    "scripts/test.ts",
    "--fast",
  ],
];

for (const [name, command, ...args] of STEPS) {
  const started = performance.now();
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  if (status !== 0) process.exit(1);
}
