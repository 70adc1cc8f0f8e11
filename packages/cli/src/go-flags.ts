import { UsageError } from "./command.ts";

type Options = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

const TRUE: readonly string[] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: readonly string[] = ["0", "f", "F", "FALSE", "false", "False"];

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
    if (TRUE.includes(value)) return `--${name}`;
    if (FALSE.includes(value)) return `--no-${name}`;
    throw new UsageError(`--${name} takes true or false, not "${value}"`);
  });
}

/** Holds `-o` to the forms that a command prints. */
export function checkOutput<T extends string>(given: string | undefined, forms: readonly T[]): T {
  const found = forms.find((form) => form === given);
  if (found !== undefined) return found;
  const list = `${forms.slice(0, -1).join(", ")} or ${forms.at(-1)}`;
  throw new UsageError(`-o takes ${list}, not "${given}"`);
}
