import { UsageError } from "./command.ts";
import { goBoolean } from "./go-flags.ts";

/**
 * A flag as Go's command lines take it. Lists are parted by commas and may be given several times;
 * `values` are a list whose items may hold commas. Integers may be negative. Booleans take a value
 * only behind `=`.
 */
export type GoFlag = (
  | { readonly type: "bool"; readonly default: boolean }
  | { readonly type: "int"; readonly default: number }
  | { readonly type: "string"; readonly default: string }
  | { readonly type: "ints" }
  | { readonly type: "strings" }
  | { readonly type: "values" }
) & { readonly short?: string };

export type GoFlags = Readonly<Record<string, GoFlag>>;

/** Every flag's value, given or not. */
export type GoValues<F extends GoFlags> = {
  readonly [Name in keyof F]: ValueOf<F[Name]["type"]>;
};

type ValueOf<T extends GoFlag["type"]> = T extends "bool"
  ? boolean
  : T extends "int"
    ? number
    : T extends "string"
      ? string
      : T extends "ints"
        ? readonly number[]
        : readonly string[];

type Value = boolean | number | string | readonly (number | string)[];

/**
 * Reads a command line the way our predecessor's containers are called: `--ipv6=false`, `-p 4143`,
 * `-p4143`, `--proxy-gid -1`.
 *
 * @throws UsageError for unknown flags, bad values and anything that is no flag.
 */
export function parseGoFlags<F extends GoFlags>(args: readonly string[], flags: F): GoValues<F> {
  const values = new Map<string, Value>(
    Object.entries(flags).map(([name, flag]) => [name, "default" in flag ? flag.default : []]),
  );
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const { name, flag, attached } = split(word, flags);
    const text = attached ?? (flag.type === "bool" ? "true" : rest.shift());
    if (text === undefined) throw new UsageError(`--${name} needs a value`);
    values.set(name, read(name, flag, text, values.get(name)!));
  }
  return Object.fromEntries(values) as GoValues<F>;
}

function split(
  word: string,
  flags: GoFlags,
): { readonly name: string; readonly flag: GoFlag; readonly attached: string | undefined } {
  const long = /^--([^=]+)(?:=([\s\S]*))?$/.exec(word);
  if (long !== null) {
    const [, name = "", attached] = long;
    if (!Object.hasOwn(flags, name)) throw new UsageError(`unknown flag --${name}`);
    return { name, flag: flags[name]!, attached };
  }
  const short = /^-([A-Za-z])=?([\s\S]*)$/.exec(word);
  if (short === null) throw new UsageError(`"${word}" is no flag`);
  const found = Object.entries(flags).find(([, flag]) => flag.short === short[1]);
  if (found === undefined) throw new UsageError(`unknown flag -${short[1]}`);
  const hasValue = word.length > 2;
  return { name: found[0], flag: found[1], attached: hasValue ? short[2] : undefined };
}

function read(name: string, flag: GoFlag, text: string, before: Value): Value {
  const items = text === "" ? [] : text.split(",");
  switch (flag.type) {
    case "string":
      return text;
    case "bool":
      return goBoolean(name, text);
    case "int":
      return integer(name, text);
    case "strings":
      return [...(before as readonly string[]), ...items];
    case "values":
      return [...(before as readonly string[]), text];
    case "ints":
      return [...(before as readonly number[]), ...items.map((item) => integer(name, item.trim()))];
  }
}

function integer(name: string, text: string): number {
  const value = /^[-+]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new UsageError(`--${name} takes a whole number, not "${text}"`);
  return value;
}
