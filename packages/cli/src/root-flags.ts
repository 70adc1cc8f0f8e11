/** Linkerd's flags of all commands, which may also stand before the command's name. */
const WITH_VALUE: readonly string[] = [
  "--linkerd-namespace",
  "-L",
  "--cni-namespace",
  "--kubeconfig",
  "--context",
  "--as",
  "--as-group",
  "--api-addr",
];
const SWITCHES: readonly string[] = ["--verbose"];

/** Parts a command line into the flags before its first word, and the rest. */
export function splitRootFlags(args: readonly string[]): {
  readonly lead: readonly string[];
  readonly rest: readonly string[];
} {
  let at = 0;
  while (at < args.length) {
    const arg = args[at]!;
    const [name = ""] = arg.split("=", 1);
    if (WITH_VALUE.includes(arg)) at += 2;
    else if (SWITCHES.includes(name) || (WITH_VALUE.includes(name) && arg.includes("="))) at += 1;
    else break;
  }
  return { lead: args.slice(0, at), rest: args.slice(at) };
}
