import { flushCompileCache } from "node:module";
import { inspect } from "node:util";
import { systemClock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import { type CliContext, type Command, type CommandEntry, UsageError } from "./command.ts";
import { newProgress } from "./progress.ts";
import { splitRootFlags } from "./root-flags.ts";

/** Each command's module is loaded only when it runs: `heddle version` must not load a proxy. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: "up",
    summary: "Run a mesh on this machine: API server and control plane",
    load: async () => (await import("./commands/up.ts")).up,
  },
  {
    name: "invite",
    summary: "Print a one-use token with which a machine may join",
    load: async () => (await import("./commands/invite.ts")).invite,
  },
  {
    name: "join",
    summary: "Join this machine to a mesh with a token",
    load: async () => (await import("./commands/join.ts")).join,
  },
  {
    name: "leave",
    summary: "Take this machine out of its mesh and undo what join did",
    load: async () => (await import("./commands/leave.ts")).leave,
  },
  {
    name: "status",
    summary: "Show this machine's membership: identity, health, capture",
    load: async () => (await import("./commands/status.ts")).status,
  },
  {
    name: "inject",
    summary: "Annotate manifests, so that their pods get the sidecar, or write it out",
    load: async () => (await import("./commands/inject.ts")).inject,
  },
  {
    name: "uninject",
    summary: "Take the sidecar out of manifests",
    load: async () => (await import("./commands/uninject.ts")).uninject,
  },
  {
    name: "install",
    summary: "Print the manifests of the control plane, or of its resources",
    load: async () => (await import("./commands/install.ts")).install,
  },
  {
    name: "upgrade",
    summary: "Print the manifests of an installed control plane anew, with its values and issuer",
    load: async () => (await import("./commands/upgrade.ts")).upgrade,
  },
  {
    name: "uninstall",
    summary: "Print what is to be deleted to take the control plane away",
    load: async () => (await import("./commands/uninstall.ts")).uninstall,
  },
  {
    name: "prune",
    summary: "Print what earlier releases have left, to be deleted",
    load: async () => (await import("./commands/prune.ts")).prune,
  },
  {
    name: "install-cni",
    summary: "Print the manifests of the CNI plugin",
    load: async () => (await import("./commands/install-cni.ts")).installCni,
  },
  {
    name: "init",
    summary: "Send a pod's traffic through its proxy (an init container)",
    load: async () => (await import("./commands/init.ts")).init,
  },
  {
    name: "await",
    summary: "Wait until this pod's proxy is ready (a container's hook)",
    load: async () => (await import("./commands/await.ts")).awaitProxy,
  },
  {
    name: "network-validator",
    summary: "Prove that a pod's traffic goes through its proxy (an init container)",
    load: async () => (await import("./commands/network-validator.ts")).networkValidator,
  },
  {
    name: "cni",
    summary: "Be the CNI plugin, its installer, or the controller that repairs pods",
    load: async () => (await import("./commands/cni.ts")).cni,
  },
  {
    name: "check",
    summary: "Check a cluster before installation, or the mesh in it",
    load: async () => (await import("./commands/check.ts")).check,
  },
  {
    name: "profile",
    summary: "Print a ServiceProfile made from OpenAPI, protobuf or a template",
    load: async () => (await import("./commands/profile.ts")).profile,
  },
  {
    name: "authz",
    summary: "Show which policies authorize whom for a resource's pods, or a machine",
    load: async () => (await import("./commands/authz.ts")).authz,
  },
  {
    name: "identity",
    summary: "Show the certificates that proxies of pods present",
    load: async () => (await import("./commands/identity.ts")).identity,
  },
  {
    name: "diagnostics",
    alias: "dg",
    summary: "Look into the control plane and proxies: endpoints, policies, profiles, metrics",
    load: async () => (await import("./commands/diagnostics.ts")).diagnostics,
  },
  {
    name: "proxy",
    summary: "Run the data plane, configured by LINKERD2_PROXY_… variables",
    load: async () => (await import("./commands/proxy.ts")).proxy,
  },
  {
    name: "control",
    summary: "Run the control plane: identity, destination, policy",
    load: async () => (await import("./commands/control.ts")).control,
  },
  {
    name: "apiserver",
    summary: "Run the embedded Kubernetes-style API server",
    load: async () => (await import("./commands/apiserver.ts")).apiserver,
  },
  {
    name: "agent",
    summary: "Hold a machine's membership (started by join)",
    load: async () => (await import("./commands/agent.ts")).agent,
  },
  {
    name: "version",
    summary: "Show the versions of client and control plane",
    load: async () => (await import("./commands/version.ts")).version,
  },
  {
    name: "completion",
    summary: "Print what a shell loads to complete commands, flags and names",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
];

/** What the shells' scripts call; no command of its own. */
const COMPLETE = "__complete";

/** Runs one command line. Errors become one message with its causes, and an exit code. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const program = context.program ?? "heddle";
  const { lead, rest: words } = splitRootFlags(args);
  const [name, ...rest] = words;
  if (name === undefined || ["help", "--help", "-h"].includes(name)) {
    if (name === "help" && rest.length > 0) return runCli([...rest, "--help"], context);
    printHelp(context, program);
    return name === undefined ? 2 : 0;
  }
  if (name === COMPLETE) {
    const { candidatesFor, printCandidates } = await import("./completion/candidates.ts");
    context.out(printCandidates(await candidatesFor(rest, COMMANDS, context)));
    return 0;
  }
  const entry = find(COMMANDS, name);
  if (entry === undefined) return runUnknown(name, rest, lead, context);
  let command = await entry.load();
  const below = find(command.commands ?? [], rest[0]);
  if (below !== undefined) {
    command = await below.load();
    rest.shift();
  }
  if (rest[0] === "--help" || rest[0] === "-h") {
    context.out(`${command.summary}\n\nusage: ${program} ${command.usage}`);
    return 0;
  }
  try {
    return await command.run([...lead, ...rest], context);
  } catch (error) {
    if (context.stop.aborted && error === context.stop.reason) return INTERRUPTED;
    if (args.includes("--verbose") && error instanceof Error) context.err(inspect(error));
    return report(command, error, context, program);
  }
}

/** As shells say that a program was ended by SIGINT. */
const INTERRUPTED = 130;

/** An extension, or a slip. */
async function runUnknown(
  name: string,
  rest: readonly string[],
  lead: readonly string[],
  context: CliContext,
): Promise<number> {
  const program = context.program ?? "heddle";
  const { findExtension, runExtension } = await import("./extension.ts");
  const path = findExtension(name, context);
  if (path !== undefined && lead.length === 0) return runExtension(path, rest, context);
  if (path !== undefined) {
    context.err(`${program}: flags may not stand before the name of an extension (${name})`);
    return 1;
  }
  const { similarWord } = await import("./similar.ts");
  const meant = similarWord(
    name,
    COMMANDS.map((entry) => entry.name),
  );
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
  context.err(`${program}: unknown command "${name}"${hint}; "${program} help" lists them`);
  return 2;
}

function find(
  entries: readonly CommandEntry[],
  name: string | undefined,
): CommandEntry | undefined {
  if (name === undefined) return undefined;
  return entries.find((entry) => entry.name === name || entry.alias === name);
}

function report(command: Command, error: unknown, context: CliContext, program: string): number {
  if (error instanceof UsageError || isParseArgsError(error)) {
    context.err(`${program} ${command.name}: ${messageOf(error)}`);
    context.err(`usage: ${program} ${command.usage}`);
    return 2;
  }
  if (error instanceof MeshError) {
    context.err(`${program} ${command.name}: ${messageOf(error)}`);
    return error.code === "bad_config" ? 64 : 1;
  }
  throw error;
}

/** What `node:util`'s parseArgs throws: a TypeError with such a code. */
function isParseArgsError(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS")
  );
}

function printHelp(context: CliContext, program: string): void {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  context.out("Heddle, a service mesh for pods and machines alike.\n");
  context.out(`usage: ${program} COMMAND [ARGS]; ${program} COMMAND --help\n`);
  for (const { name, summary } of COMMANDS) context.out(`  ${name.padEnd(width)}  ${summary}`);
}

/** A pipe that its reader closed (`heddle … | head`) ends output quietly. */
function quietOnClosedPipe(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

/** A process that runs for long would keep to itself, until its end, what it has compiled. */
const FLUSH_COMPILED_MS = 1_500;

/** Runs one command line as this process; images have programs that stand for one command each. */
export async function main(args: readonly string[]): Promise<void> {
  setTimeout(() => flushCompileCache(), FLUSH_COMPILED_MS).unref();
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort(signal));
  // A supervised child holds a pipe from its supervisor: when that closes, the supervisor is gone.
  if (process.env["HEDDLE_SUPERVISED"] === "1") {
    process.stdin.resume().once("end", () => stop.abort("supervisor gone"));
    process.stdin.unref?.();
  }
  quietOnClosedPipe(process.stdout);
  quietOnClosedPipe(process.stderr);
  process.exitCode = await runCli(args, {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    env: (name) => process.env[name],
    stop: stop.signal,
    hasColor: process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "",
    clock: systemClock,
    ...(process.stderr.isTTY === true ? { progress: newProgress(process.stderr) } : {}),
    // Set by the launcher, which may be called by either name.
    program: process.env["HEDDLE_PROGRAM"] === "linkerd" ? "linkerd" : "heddle",
  });
}

if (import.meta.main) await main(process.argv.slice(2));
