import type { parseArgs } from "node:util";
import { MeshError, messageOf } from "@heddle/base/errors";
import { CLUSTER_OPTIONS, clusterClient, controlNamespace, currentNamespace } from "../cluster.ts";
import { clusterValues } from "../cluster-values.ts";
import { type CliContext, type Command, UsageError } from "../command.ts";
import { checkOutput, parseCommandLine } from "../go-flags.ts";
import { manifestOf } from "../helm/manifest.ts";
import { readInputs } from "../manifests.ts";
import { routesOfOpenApi } from "../profile/openapi.ts";
import { routesOfProto } from "../profile/proto.ts";
import {
  type ProfileRoute,
  type ProfileTarget,
  serviceProfile,
} from "../profile/service-profile.ts";
import { profileTemplate } from "../profile/template.ts";
import { clientVersion } from "./version.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  namespace: { type: "string", short: "n" },
  template: { type: "boolean", default: false },
  "open-api": { type: "string" },
  proto: { type: "string" },
  tap: { type: "string" },
  "ignore-cluster": { type: "boolean", default: false },
  output: { type: "string", short: "o", default: "yaml" },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

export const profile: Command = {
  name: "profile",
  summary: "Print a ServiceProfile made from OpenAPI, protobuf or a template",
  usage:
    "profile (--template | --open-api FILE|- | --proto FILE|-) [-n|--namespace NS] [--ignore-cluster] [-o|--output yaml|json] [--kubeconfig FILE] [--context NAME] [-L|--linkerd-namespace NS] SERVICE",

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const form = checkOutput(flags.output, ["yaml", "json"]);
    const source = sourceOf(flags);
    const [service, ...more] = positionals;
    if (service === undefined || more.length > 0) throw new UsageError("name one service");
    const namespace = flags.namespace ?? currentNamespace(flags, context);
    checkNames(service, namespace);
    const clusterDomain = flags["ignore-cluster"]
      ? "cluster.local"
      : await clusterDomainOf(flags, context);
    const target = { service, namespace, clusterDomain };
    const text = await print(source, target, form);
    context.out(text.trimEnd());
    return 0;
  },
};

type Source =
  | { readonly kind: "template" }
  | { readonly kind: "open-api" | "proto"; readonly from: string };

function sourceOf(flags: Flags): Source {
  if (flags.tap !== undefined) {
    throw new UsageError("--tap is not there yet: it comes with tap; take another source");
  }
  const sources: Source[] = [];
  if (flags.template) sources.push({ kind: "template" });
  for (const kind of ["open-api", "proto"] as const) {
    const from = flags[kind];
    if (from !== undefined) sources.push({ kind, from });
  }
  if (sources.length === 1) return sources[0]!;
  throw new UsageError("give exactly one of --template, --open-api and --proto");
}

/** A Service's name (RFC 1035) and a namespace's (RFC 1123). */
function checkNames(service: string, namespace: string): void {
  if (service.length > 63 || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(service)) {
    throw new UsageError(
      `"${service}" is no service's name: lower-case letters, digits and hyphens, and a letter first`,
    );
  }
  if (namespace.length > 63 || !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(namespace)) {
    throw new UsageError(
      `"${namespace}" is no namespace's name: lower-case letters, digits and hyphens`,
    );
  }
}

async function clusterDomainOf(flags: Flags, context: CliContext): Promise<string> {
  try {
    using client = clusterClient(flags, context);
    const namespace = controlNamespace(flags, context);
    return (await clusterValues(client, namespace, clientVersion())).clusterDomain;
  } catch (cause) {
    if (!(cause instanceof MeshError)) throw cause;
    const message =
      "Cannot ask the cluster for its domain; --ignore-cluster takes cluster.local for it";
    throw new MeshError("no_cluster", "control", message, { cause });
  }
}

async function print(
  source: Source,
  target: ProfileTarget,
  form: "yaml" | "json",
): Promise<string> {
  if (source.kind === "template") {
    const text = profileTemplate(target);
    if (form === "yaml") return text;
    const { parse } = await import("yaml");
    return JSON.stringify(parse(text), null, 2);
  }
  const made = serviceProfile(target, await routesFrom(source.kind, source.from));
  return form === "json" ? JSON.stringify(made, null, 2) : manifestOf(made);
}

async function routesFrom(kind: "open-api" | "proto", from: string): Promise<ProfileRoute[]> {
  const [text, ...more] = await readInputs(from);
  if (text === undefined || more.length > 0) {
    throw new MeshError("no_input", "client", `Cannot read ${from}: it is not one file`);
  }
  try {
    return kind === "proto" ? routesOfProto(text) : routesOfOpenApi(text);
  } catch (cause) {
    // What is not YAML at all throws the library's own error.
    if (!(cause instanceof Error)) throw cause;
    const what = kind === "proto" ? "a .proto file" : "OpenAPI";
    const message = `Cannot read ${from} as ${what}: ${messageOf(cause)}`;
    throw new MeshError("bad_input", "client", message, { cause });
  }
}
