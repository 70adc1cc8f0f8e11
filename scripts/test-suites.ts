import { globSync } from "node:fs";
import { join } from "node:path";

export const ROOT: string = join(import.meta.dirname, "..");

/** `fast`: the packages' own tests. `slow`: what needs processes, root, minutes or foreign tools. */
export type Tier = "fast" | "slow";

/** The test files of a tier, sorted, so that two runs go in the same order. */
export function testFiles(tier: Tier): string[] {
  const isSlow = (file: string): boolean =>
    file.startsWith("e2e/") || file.endsWith(".slow.test.ts");
  const files = globSync(
    ["packages/*/src/**/*.test.ts", "scripts/**/*.test.ts", "e2e/**/*.test.ts"],
    {
      cwd: ROOT,
    },
  );
  const wanted = files.filter((file) => isSlow(file) === (tier === "slow"));
  if (wanted.length === 0) throw new Error(`Cannot run ${tier} tests: no file matches`);
  return wanted.sort().map((file) => join(ROOT, file));
}
