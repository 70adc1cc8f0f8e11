import { readFileSync } from "node:fs";
import { MeshError } from "@heddle/base/errors";
import { overlay, parseValues, setValues, type Values } from "./set-values.ts";

/** Helm's own flags, as they were given. */
export interface ValueFlags {
  readonly files: readonly string[];
  /** `--set` pairs. */
  readonly pairs: readonly string[];
  /** `--set-string` pairs, whose values are text whatever they look like. */
  readonly texts: readonly string[];
}

/** Files first, then pairs, each on top of what is there. @throws MeshError `bad_values`. */
export function withValueFlags(under: Values, flags: ValueFlags): Values {
  let values = under;
  for (const path of flags.files) {
    values = attempt(`use ${path}`, () => overlay(values, parseValues(readFileSync(path, "utf8"))));
  }
  for (const pair of flags.pairs) {
    values = attempt(`use --set ${pair}`, () => setValues(values, pair));
  }
  for (const pair of flags.texts) {
    values = attempt(`use --set-string ${pair}`, () => setValues(values, pair, true));
  }
  return values;
}

/** What cannot be read is the caller's fault, and is told as such. */
export function attempt<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new MeshError("bad_values", "client", `Cannot ${what}`, { cause });
  }
}
