import { parseBoolean } from "@heddle/inject/go-text";
import { UsageError } from "./command.ts";

type Options = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

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
