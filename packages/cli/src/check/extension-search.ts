import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { runBounded } from "./run-bounded.ts";

/** What begins the file name of an extension's command. */
const PREFIXES = ["linkerd-", "heddle-"];
const METADATA_MS = 10_000;

/** A command whose `check` is run along with ours. */
export interface ExtensionCommand {
  /** Of its file; its category is called so when it answers with nothing of sense. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface FoundExtensions {
  /** By file name. */
  readonly commands: readonly ExtensionCommand[];
  /** Extensions that are installed, and nobody here can check. */
  readonly missing: readonly string[];
}

export interface ExtensionSearch {
  readonly path: string;
  /** Values of the label `linkerd.io/extension` of namespaces. */
  readonly installed: readonly string[];
  /** Extensions that the CLI itself checks, by its command of that name. */
  readonly builtIn: readonly string[];
  readonly self: { readonly command: string; readonly args: readonly string[] };
  readonly signal: AbortSignal;
}

/** Decides whose checks are run: who always wants to, and whoever's extension is installed. */
export async function findExtensions(search: ExtensionSearch): Promise<FoundExtensions> {
  const { installed, builtIn, self, signal } = search;
  const onPath = extensionFiles(search.path);
  const commands = new Map<string, ExtensionCommand>();
  const missing: string[] = [];
  for (const [name, command] of onPath) {
    const isWanted = PREFIXES.some((prefix) => installed.includes(name.slice(prefix.length)));
    if (isWanted || (await isAlwaysRun(name, command, signal))) {
      commands.set(name, { name, command, args: [] });
    }
  }
  for (const extension of new Set(installed)) {
    if (PREFIXES.some((prefix) => commands.has(prefix + extension))) continue;
    const name = `linkerd-${extension}`;
    if (builtIn.includes(extension)) {
      commands.set(name, { name, command: self.command, args: [...self.args, extension] });
    } else missing.push(extension);
  }
  const sorted = [...commands.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { commands: sorted, missing: missing.sort() };
}

/** Executables of extensions by file name: of several with one name, the first of the path. */
export function extensionFiles(path: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const folder of path.split(delimiter)) {
    // A relative folder would make what runs depend on where we are.
    if (!isAbsolute(folder)) continue;
    for (const name of namesIn(folder)) {
      const file = join(folder, name);
      if (files.has(name) || !PREFIXES.some((prefix) => name.startsWith(prefix))) continue;
      if (isExecutable(file)) files.set(name, file);
    }
  }
  return files;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Paths often name folders that are not there, or not ours to read.
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Not for us to run, or gone meanwhile.
    return false;
  }
}

/** Whether the command says of itself that its checks belong to every run. */
async function isAlwaysRun(name: string, command: string, signal: AbortSignal): Promise<boolean> {
  const answer = await runBounded({
    command,
    args: ["_extension-metadata"],
    timeoutMs: METADATA_MS,
    signal,
  });
  try {
    const metadata: unknown = JSON.parse(answer.stdout);
    if (typeof metadata !== "object" || metadata === null) return false;
    const { name: own, checks } = metadata as { name?: unknown; checks?: unknown };
    return own === name && checks === "always";
  } catch {
    // Most commands know nothing of the question, and answer with a usage text.
    return false;
  }
}
