import { parseArgs } from "node:util";
import { MeshError, messageOf } from "@heddle/base/errors";
import { NAMESPACES } from "@heddle/kube/types/core";
import { parseGoDuration } from "@heddle/model/go-duration";
import { CheckedMesh, type CheckOptions } from "../check/checked-mesh.ts";
import { findExtensions } from "../check/extension-search.ts";
import { runExtensions } from "../check/extensions.ts";
import { type CheckMode, categoriesOf } from "../check/modes.ts";
import { newPrinter, OUTPUT_FORMATS, type Printer } from "../check/printer.ts";
import { EXTENSION } from "../check/resources.ts";
import { runChecks } from "../check/runner.ts";
import { CLUSTER_OPTIONS, clusterClient, controlNamespace, requireName } from "../cluster.ts";
import { type CliContext, type Command, UsageError } from "../command.ts";
import { checkOutput, goArgs } from "../go-flags.ts";
import { selfCommand } from "../self.ts";
import { clientVersion } from "./version.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  pre: { type: "boolean", default: false },
  crds: { type: "boolean", default: false },
  proxy: { type: "boolean", default: false },
  namespace: { type: "string", short: "n", default: "" },
  "linkerd-cni-enabled": { type: "boolean", default: false },
  "expected-version": { type: "string" },
  "cli-version-override": { type: "string" },
  output: { type: "string", short: "o", default: "table" },
  wait: { type: "string", default: "5m0s" },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

/** Where somebody answers which versions are the latest. Unset, nobody is asked. */
const VERSION_URL = "HEDDLE_VERSION_CHECK_URL";
/** Extensions that a command of ours checks, which is named as they are. */
const BUILT_IN_EXTENSIONS: readonly string[] = [];

export const check: Command = {
  name: "check",
  summary: "Check a cluster before installation, or the mesh in it",
  usage:
    "check [--pre [--linkerd-cni-enabled] | --crds | --proxy] [-n NAMESPACE] [--expected-version V] [--cli-version-override V] [--wait T] [-o table|short|json]",

  /** @returns 0 also with warnings, 1 if a check failed. */
  async run(args, context) {
    const { values: flags } = parseArgs({
      args: goArgs(args, OPTIONS),
      allowNegative: true,
      options: OPTIONS,
    });
    const mode = modeOf(flags);
    const waitMs = waitOf(flags.wait);
    const printer = newPrinter(checkOutput(flags.output, OUTPUT_FORMATS), context);
    const options = checkOptions(flags, mode, context);
    using mesh = new CheckedMesh(options, context.clock, () => clusterClient(flags, context));
    try {
      return (await checkAll(mesh, { mode, flags, waitMs, printer, context })) ? 0 : 1;
    } catch (error) {
      // Whoever stops us knows why, and has what was told so far.
      if (context.stop.aborted) return 1;
      throw error;
    }
  },
};

interface Run {
  readonly mode: CheckMode;
  readonly flags: Flags;
  readonly waitMs: number;
  readonly printer: Printer;
  readonly context: CliContext;
}

/** @returns whether nothing failed but warnings. */
async function checkAll(mesh: CheckedMesh, run: Run): Promise<boolean> {
  const { mode, waitMs, printer, context } = run;
  let isSuccess = await runChecks(categoriesOf(mode), {
    mesh,
    waitMs,
    clock: context.clock,
    onResult: (result) => printer.add(result),
    onWaiting: context.progress,
    stop: context.stop,
  });
  printer.endPart();
  if (mode === "mesh" || mode === "proxy") {
    isSuccess = (await checkExtensions(mesh, run)) && isSuccess;
  }
  printer.end(isSuccess);
  return isSuccess;
}

function modeOf(flags: Flags): CheckMode {
  const { pre, crds, proxy, "linkerd-cni-enabled": isCni } = flags;
  if (pre && proxy) throw new UsageError("--pre and --proxy exclude each other");
  if (pre && crds) throw new UsageError("--pre and --crds exclude each other");
  if (isCni && !pre) throw new UsageError("--linkerd-cni-enabled goes with --pre only");
  if (pre) return isCni ? "pre-cni" : "pre";
  if (crds) return "crds";
  return proxy ? "proxy" : "mesh";
}

function waitOf(text: string): number {
  try {
    return parseGoDuration(text);
  } catch (cause) {
    throw new UsageError(`--wait: ${messageOf(cause)}`);
  }
}

function checkOptions(flags: Flags, mode: CheckMode, context: CliContext): CheckOptions {
  const namespace = requireName(controlNamespace(flags, context), "--linkerd-namespace");
  const given = (text: string | undefined): string | undefined => (text === "" ? undefined : text);
  return {
    controlNamespace: namespace,
    cniNamespace: requireName(flags["cni-namespace"], "--cni-namespace"),
    dataNamespace: given(flags.namespace) && requireName(flags.namespace, "--namespace"),
    cliVersion: given(flags["cli-version-override"]) ?? clientVersion(),
    expectedVersion: given(flags["expected-version"]),
    versionUrl: given(context.env(VERSION_URL)),
    isCniExpected: mode === "pre-cni",
    isPreInstall: mode === "pre" || mode === "pre-cni",
    manifests: () => manifests(namespace, context),
  };
}

/** What `install` would print. */
async function manifests(namespace: string, context: CliContext): Promise<readonly object[]> {
  const { install } = await import("./install.ts");
  const { parseAllDocuments } = await import("yaml");
  const lines: string[] = [];
  const collect = { ...context, out: (line: string) => lines.push(line), err: () => {} };
  const code = await install.run(["--ignore-cluster", "--linkerd-namespace", namespace], collect);
  if (code !== 0) throw new MeshError("no_manifests", "self", "Cannot render what install prints");
  const documents = parseAllDocuments(lines.join("\n")).map((one): unknown => one.toJS());
  return documents.filter((one): one is object => typeof one === "object" && one !== null);
}

async function checkExtensions(mesh: CheckedMesh, run: Run): Promise<boolean> {
  const { flags, waitMs, printer, context } = run;
  const { stop: signal } = context;
  let installed: readonly string[];
  try {
    const { items } = await mesh.client.list(NAMESPACES, { labelSelector: EXTENSION, signal });
    installed = items.map(({ metadata }) => metadata.labels?.[EXTENSION] ?? "");
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    context.err(
      `${context.program ?? "heddle"} check: Cannot find the extensions to check: ${messageOf(error)}`,
    );
    return false;
  }
  const found = await findExtensions({
    path: context.env("PATH") ?? "",
    installed: installed.filter((name) => name !== ""),
    builtIn: BUILT_IN_EXTENSIONS,
    self: selfCommand(),
    signal,
  });
  return await runExtensions(found, {
    flags: extensionFlags(flags, mesh.options),
    waitMs,
    cliVersion: mesh.options.cliVersion,
    onResult: (result) => printer.add(result),
    onEnd: () => printer.endPart(),
    signal,
  });
}

/** Flags of ours that an extension's `check` has too. */
const EXTENSION_FLAGS: readonly string[] = [
  "api-addr",
  "context",
  "as",
  "as-group",
  "kubeconfig",
  "linkerd-namespace",
  "verbose",
  "namespace",
  "proxy",
  "wait",
];

/** Those that say something. */
function extensionFlags(flags: Flags, { controlNamespace }: CheckOptions): readonly string[] {
  const given: Readonly<Record<string, unknown>> = {
    ...flags,
    "linkerd-namespace": controlNamespace,
  };
  return EXTENSION_FLAGS.flatMap((name) => {
    const value = given[name];
    const text = value === undefined ? "" : String(value);
    return text === "" ? [] : [`--${name}=${text}`];
  });
}
