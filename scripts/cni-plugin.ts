/**
 * `node scripts/cni-plugin.ts FOLDER`: writes what the installer of the CNI plugin copies to every
 * node: `linkerd-cni`, and beside it a folder with the plugin as one file, the Node that runs it, and
 * the libraries of that, because a node's system promises none of them.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "./test-suites.ts";

export interface CniPluginOptions {
  /** The Node that runs on the nodes. Default: ours. */
  readonly node?: string;
  /** Its loader first, then its libraries. Default: those that `ldd` finds for it here. */
  readonly libraries?: readonly string[];
}

const ENTRY = join(ROOT, "packages", "init", "src", "cni", "main.ts");
const PARTS = "linkerd-cni.d";

/** A shell finds the plugin's own folder, wherever it was installed. */
function launcher(loader: string): string {
  return `#!/bin/sh
parts=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/${PARTS}
exec "$parts/lib/${loader}" --library-path "$parts/lib" "$parts/node" \\
  --disable-warning=ExperimentalWarning "$parts/plugin.mjs" "$@"
`;
}

/** Fills `folder`, which need not exist. */
export async function writeCniPlugin(
  folder: string,
  options: CniPluginOptions = {},
): Promise<void> {
  const { node = process.execPath, libraries = librariesOf(node) } = options;
  const lib = join(folder, PARTS, "lib");
  mkdirSync(lib, { recursive: true });
  await build({
    entryPoints: [ENTRY],
    outfile: join(folder, PARTS, "plugin.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node26",
    // Some of what we use was written for `require`.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    // For kubeconfigs with plugins of their own, which ours has not.
    external: ["@kubernetes/client-node"],
    logLevel: "error",
  });
  copyFileSync(node, join(folder, PARTS, "node"));
  chmodSync(join(folder, PARTS, "node"), 0o755);
  const [loader = ""] = libraries;
  for (const path of libraries) {
    copyFileSync(realpathSync(path), join(lib, basename(path)));
    chmodSync(join(lib, basename(path)), 0o755);
  }
  writeFileSync(join(folder, "linkerd-cni"), launcher(basename(loader)), { mode: 0o755 });
}

/** The loader, whose line names it alone, then the others. */
function librariesOf(node: string): string[] {
  const lines = execFileSync("ldd", [node], { encoding: "utf8" }).split("\n");
  const loader = lines.flatMap((line) => /^\s*(\/\S+ld-\S+)/.exec(line)?.[1] ?? []);
  const others = lines.flatMap((line) => /=> (\/\S+)/.exec(line)?.[1] ?? []);
  if (loader.length !== 1)
    throw new Error(`Cannot find the loader of ${node}: ${lines.join("; ")}`);
  return [...loader, ...others];
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("usage: node scripts/cni-plugin.ts FOLDER");
  await writeCniPlugin(folder);
}
