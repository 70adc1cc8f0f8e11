/**
 * Writes the code of packages/api/src/gen from the .proto files beside it. Run by
 * `npm run generate` after every change to them; needs no network.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { delimiter, join, sep } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/** Where the .proto files and the generator's configuration are. */
export const API: string = join(ROOT, "packages", "api");

/**
 * Generates into `output`, replacing what is in its `src/gen`.
 *
 * @throws Error with the generator's own words if a .proto file is wrong.
 */
export function generate(output: string): void {
  const bin = join(ROOT, "node_modules", ".bin");
  execFileSync(join(bin, "buf"), ["generate", "--output", output], {
    cwd: API,
    // The plugin is looked up by name.
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` },
    stdio: ["ignore", "inherit", "pipe"],
  });
}

/** Every generated file below `output`, by its path. */
export function generatedFiles(output: string): Map<string, string> {
  const folder = join(output, "src", "gen");
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return new Map(
    files.map((path) => [
      path.slice(folder.length + 1).replaceAll(sep, "/"),
      readFileSync(path, "utf8"),
    ]),
  );
}

if (import.meta.main) {
  generate(API);
  console.log(`generate: ${generatedFiles(API).size} files in packages/api/src/gen`);
}
