import type { CliContext, Command, CommandEntry } from "../command.ts";

/** What a shell may offer for the word under the cursor. */
export interface Candidates {
  readonly words: readonly Candidate[];
  /** The shell may offer its own files as well. */
  readonly withFiles: boolean;
}

export interface Candidate {
  readonly word: string;
  readonly description: string;
}

const NONE: Candidates = { words: [], withFiles: false };
const FILES: Candidates = { words: [], withFiles: true };

/**
 * Candidates for the last of `words`, which stand behind the program's name; the last one is what has
 * been typed of a word so far, and may be empty. Asks the cluster where only it knows.
 */
export async function candidatesFor(
  words: readonly string[],
  entries: readonly CommandEntry[],
  context: CliContext,
): Promise<Candidates> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? "";
  const [name] = before;
  if (name === undefined) {
    const known = entries.map((entry) => ({ word: entry.name, description: entry.summary }));
    return startingWith(current, known);
  }
  const entry = entries.find((candidate) => [candidate.name, candidate.alias].includes(name));
  if (entry === undefined) return NONE;
  const command = await entry.load();
  if (command.commands !== undefined && before.length > 1) {
    return candidatesFor(words.slice(1), command.commands, context);
  }
  const joined = /^(--[^=]+)=(.*)$/s.exec(current);
  if (joined !== null) {
    const [, flag = "", typed = ""] = joined;
    const values = await valuesOf(flag, before, command, context);
    const found = startingWith(typed, values.words);
    const whole = found.words.map(({ word, ...rest }) => ({ ...rest, word: `${flag}=${word}` }));
    return { words: whole, withFiles: false };
  }
  const previous = before.at(-1)!;
  if (before.length > 1 && takesValue(previous, command.usage)) {
    const values = await valuesOf(previous, before, command, context);
    return { ...startingWith(current, values.words), withFiles: values.withFiles };
  }
  if (current.startsWith("-")) return startingWith(current, plain(flagsOf(command.usage)));
  if (command.complete === undefined) return /FILE|FOLDER/.test(command.usage) ? FILES : NONE;
  const places = placesOf(before.slice(1), command.usage);
  const offered = await command.complete([...places, current], flagValues(before), context);
  return startingWith(current, plain(offered));
}

function plain(words: readonly string[]): readonly Candidate[] {
  return words.map((word) => ({ word, description: "" }));
}

function startingWith(typed: string, known: readonly Candidate[]): Candidates {
  return { words: known.filter(({ word }) => word.startsWith(typed)), withFiles: false };
}

/** Every flag that a usage names, in its order: `--output`, `-o`. */
function flagsOf(usage: string): readonly string[] {
  return [...new Set([...usage.matchAll(/(?<![\w-])--?[a-z][\w-]*/g)].map(([flag]) => flag))];
}

/** Whether a value follows the flag: its usage says one, as in `[-n|--namespace NS]`. */
function takesValue(flag: string, usage: string): boolean {
  return flag.startsWith("-") && formOf(flag, usage) !== undefined;
}

/** What the usage says for a flag's value: `NS`, `yaml|json`. */
function formOf(flag: string, usage: string): string | undefined {
  const spelled = flag.replace(/[^\w-]/g, "");
  return new RegExp(`(?<![\\w-])${spelled}(?:\\|--?[\\w-]+)* ([^\\s\\]|)][^\\s\\])]*)`).exec(
    usage,
  )?.[1];
}

async function valuesOf(
  flag: string,
  before: readonly string[],
  command: Command,
  context: CliContext,
): Promise<Candidates> {
  if (flag === "--context") {
    const { contextNames } = await import("@heddle/kube/kubeconfig");
    const { kubeconfig } = flagValues(before);
    return { words: plain(contextNames(context.env, kubeconfig)), withFiles: false };
  }
  if (["--namespace", "-n", "--linkerd-namespace", "-L"].includes(flag)) {
    const { namespaceNames } = await import("./from-cluster.ts");
    return { words: plain(await namespaceNames(flagValues(before), context)), withFiles: false };
  }
  const form = formOf(flag, command.usage) ?? "";
  if (/^[a-z0-9-]+(\|[a-z0-9-]+)+$/.test(form)) {
    return { words: plain(form.split("|")), withFiles: false };
  }
  return /FILE|FOLDER|DIR/.test(form) ? FILES : NONE;
}

/** What has been said already about where the cluster is. */
export interface SaidFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

function flagValues(words: readonly string[]): SaidFlags {
  const said = (...names: readonly string[]): string | undefined => {
    for (const [index, word] of words.entries()) {
      if (names.includes(word)) return words[index + 1];
      const joined = names.find((name) => word.startsWith(`${name}=`));
      if (joined !== undefined) return word.slice(joined.length + 1);
    }
    return undefined;
  };
  const kubeconfig = said("--kubeconfig");
  const context = said("--context");
  const namespace = said("--namespace", "-n");
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** The words that are neither flags nor their values. */
function placesOf(words: readonly string[], usage: string): readonly string[] {
  return words.filter((word, index) => {
    if (word.startsWith("-")) return false;
    const previous = words[index - 1];
    return previous === undefined || !takesValue(previous, usage);
  });
}

/** As the shells' scripts read it: a word a line, a tab before what it is, and last what else to do. */
export function printCandidates({ words, withFiles }: Candidates): string {
  const lines = words.map(({ word, description }) =>
    description === "" ? word : `${word}\t${description}`,
  );
  return [...lines, withFiles ? ":1" : ":0"].join("\n");
}
