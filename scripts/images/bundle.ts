/** Our own code as an image holds it: one module to start with, and one for each part. */
import { readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { build, type Plugin } from "esbuild";
import { ROOT } from "../test-suites.ts";
import type { TarEntry } from "./tar.ts";

/** Where the bundle lies in an image. */
export const BUNDLE_FOLDER = "usr/lib/heddle";

/**
 * The CLI with some of its commands, as files below `BUNDLE_FOLDER`; `heddle.mjs` is the one to run.
 * What those commands do not need is not there. A part is loaded only when its command runs.
 */
export async function bundle(commands: readonly string[]): Promise<TarEntry[]> {
  const { outputFiles } = await build({
    entryPoints: { heddle: join(ROOT, "packages", "cli", "src", "main.ts") },
    outdir: join(ROOT, "build", "bundle"),
    outExtension: { ".js": ".mjs" },
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node26",
    legalComments: "inline",
    logLevel: "silent",
    // What is bundled from CommonJS asks for Node's own modules by `require`.
    banner: {
      js: 'import { createRequire as heddleRequire } from "node:module"; const require = heddleRequire(import.meta.url);',
    },
    plugins: [withOnly(commands)],
  });
  return outputFiles.map(({ path, contents }) => ({
    type: "file",
    path: join(BUNDLE_FOLDER, relative(join(ROOT, "build", "bundle"), path)),
    mode: 0o644,
    data: contents,
  }));
}

/** In place of a command that an image lacks stands one that says so. */
function withOnly(commands: readonly string[]): Plugin {
  return {
    name: "commands",
    setup({ onLoad }) {
      onLoad({ filter: /\/cli\/src\/commands\/[^/]+\.ts$/ }, ({ path }) => {
        const command = basename(path, ".ts");
        const name = /^export const (\w+): Command = /m.exec(readFileSync(path, "utf8"))?.[1];
        if (name === undefined || commands.includes(command)) return undefined;
        const message = `Cannot run heddle ${command}: this image only has ${commands.join(", ")}`;
        const contents = `
          import { MeshError } from "@heddle/base/errors";
          export const ${name} = {
            name: ${JSON.stringify(command)},
            summary: "Not in this image",
            usage: ${JSON.stringify(command)},
            async run() {
              throw new MeshError("not_in_image", "client", ${JSON.stringify(message)});
            },
          };`;
        return { contents, loader: "js", resolveDir: dirname(path) };
      });
    },
  };
}
