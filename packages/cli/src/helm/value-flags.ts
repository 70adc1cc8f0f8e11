import { readFileSync } from "node:fs";
import { MeshError } from "@heddle/base/errors";
import { UsageError } from "../command.ts";
import { readSource } from "../manifests.ts";
import { overlay, parseValues, setValues, type Values } from "./set-values.ts";

/** Helm's own flags, by the names that people give them. */
export interface HelmFlags {
  /** Files or URLs. */
  readonly values?: readonly string[];
  readonly set?: readonly string[];
  /** Pairs whose values are text whatever they look like. */
  readonly "set-string"?: readonly string[];
  readonly "set-file"?: readonly string[];
}

/**
 * What the flags make of the values under them, in Helm's order: files, then `--set`,
 * `--set-string`, `--set-file`.
 *
 * @throws MeshError `bad_values`, `bad_file`; UsageError.
 */
export async function withHelmFlags(under: Values, flags: HelmFlags): Promise<Values> {
  let values = under;
  for (const path of flags.values ?? []) {
    const text = await readSource(path);
    const over = attempt(`use ${path}`, () => parseValues(text));
    values = overlay(values, over);
  }
  for (const pair of flags.set ?? []) {
    values = attempt(`use --set ${pair}`, () => setValues(values, pair));
  }
  for (const pair of flags["set-string"] ?? []) {
    values = attempt(`use --set-string ${pair}`, () => setValues(values, pair, true));
  }
  for (const pair of flags["set-file"] ?? []) {
    const [, key = "", path = ""] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
    if (key === "") throw new UsageError(`--set-file takes KEY=FILE, not "${pair}"`);
    const text = readText(path).replaceAll(/[\\,{}]/g, "\\$&");
    values = attempt(`use --set-file ${pair}`, () => setValues(values, `${key}=${text}`, true));
  }
  return values;
}

/** @throws MeshError `bad_file`. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MeshError("bad_file", "client", `Cannot read ${path}`, { cause });
  }
}

/** What does not parse is the caller's fault, and is told as such: MeshError `bad_values`. */
export function attempt<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new MeshError("bad_values", "client", `Cannot ${what}`, { cause });
  }
}
