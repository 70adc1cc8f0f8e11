import { type ParseArgsConfig, parseArgs } from "node:util";
import { parseBoolean } from "@heddle/inject/go-text";
import { UsageError } from "./command.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/**
 * Arguments as `parseArgs` takes them, with `allowNegative`: Linkerd's command lines also say
 * `--native-sidecar=false`, which becomes `--no-native-sidecar`.
 */
export function goArgs(args: readonly string[], options: Options): string[] {
  const end = args.indexOf("--");
  return args.map((arg, index) => {
    const found = /^--([^=]+)=(.*)$/s.exec(arg);
    if (found === null || (end >= 0 && index > end)) return arg;
    const [, name = "", value = ""] = found;
    if (!Object.hasOwn(options, name) || options[name]!.type !== "boolean") return arg;
    return goBoolean(name, value) ? `--${name}` : `--no-${name}`;
  });
}

/** A command line of flags and arguments, read as Linkerd reads it. @throws UsageError. */
export function parseCommandLine<const O extends Options>(
  args: readonly string[],
  options: O,
): CommandLine<O> {
  return parseArgs({
    args: goArgs(args, options),
    allowPositionals: true,
    allowNegative: true,
    options,
  }) as CommandLine<O>;
}

type CommandLine<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true; allowNegative: true }>
>;

/** @throws UsageError that names the flag. */
export function goBoolean(name: string, text: string): boolean {
  try {
    return parseBoolean(text);
  } catch {
    throw new UsageError(`--${name} takes true or false, not "${text}"`);
  }
}

/** Holds `-o` to the forms that a command prints. */
export function checkOutput<T extends string>(given: string | undefined, forms: readonly T[]): T {
  const found = forms.find((form) => form === given);
  if (found !== undefined) return found;
  const list = `${forms.slice(0, -1).join(", ")} or ${forms.at(-1)}`;
  throw new UsageError(`-o takes ${list}, not "${given}"`);
}
