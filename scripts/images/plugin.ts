/** What the CNI plugin's installer copies to nodes, as files of an image. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { writeCniPlugin } from "../cni-plugin.ts";
import { linkedWith } from "./contents.ts";
import type { Pool } from "./debian.ts";
import type { TarEntry } from "./tar.ts";

const FOLDER = "opt/cni/bin";

/** Where the image then has its Node. */
export const PLUGIN_NODE: string = `${FOLDER}/linkerd-cni.d/node`;

/** @param node - The folder of the Node that runs on the nodes. */
export async function pluginFiles(node: string, pool: Pool): Promise<TarEntry[]> {
  const program = join(node, "bin", "node");
  const folder = mkdtempSync(join(tmpdir(), "heddle-cni-plugin-"));
  try {
    // By the names that they are asked for by; a package has them by longer ones.
    const named = [...linkedWith(pool, readFileSync(program))].map(([name, source]) => {
      const path = join(folder, name);
      symlinkSync(source, path);
      return path;
    });
    const made = join(folder, "plugin");
    await writeCniPlugin(made, { node: program, libraries: named });
    return readdirSync(made, { recursive: true, encoding: "utf8" }).flatMap((name) => {
      const path = join(made, name);
      if (statSync(path).isDirectory()) return [];
      const mode = statSync(path).mode & 0o755;
      const at = join(FOLDER, relative(made, path));
      return [{ type: "file" as const, path: at, mode, data: readFileSync(path) }];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
