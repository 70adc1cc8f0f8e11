import { parsePortRange } from "@heddle/inject/port-list";
import { requireName } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { chartObjects, chartSchema, chartValues } from "../helm/chart.ts";
import { manifestOf } from "../helm/manifest.ts";
import { checkSchema } from "../helm/schema.ts";
import { overlay, type Values } from "../helm/set-values.ts";
import { attempt, withHelmFlags } from "../helm/value-flags.ts";
import { type GoFlags, type GoValues, parseGoFlags } from "../pflags.ts";
import { clientVersion } from "./version.ts";

const CHART = "heddle-cni";
const DEFAULT_REGISTRY = "cr.l5d.io/linkerd";
/** What stands in front of our own image's name. */
const OWN_REGISTRY = "heddle";

/** Those of `linkerd install-cni`. An empty text and a -1 mean: as the chart says. */
const FLAGS = {
  "cni-namespace": { type: "string", default: "linkerd-cni" },
  "linkerd-version": { type: "string", default: "", short: "v" },
  registry: { type: "string", default: "" },
  "proxy-uid": { type: "int", default: -1 },
  "proxy-gid": { type: "int", default: -1 },
  "inbound-port": { type: "int", default: -1 },
  "outbound-port": { type: "int", default: -1 },
  "control-port": { type: "int", default: -1 },
  "admin-port": { type: "int", default: -1 },
  "skip-inbound-ports": { type: "strings" },
  "skip-outbound-ports": { type: "strings" },
  "redirect-ports": { type: "ints" },
  "cni-image": { type: "string", default: "" },
  "cni-image-version": { type: "string", default: "" },
  "cni-log-level": { type: "string", default: "" },
  "dest-cni-net-dir": { type: "string", default: "" },
  "dest-cni-bin-dir": { type: "string", default: "" },
  "priority-class-name": { type: "string", default: "" },
  "use-wait-flag": { type: "bool", default: false },
  output: { type: "string", default: "yaml", short: "o" },
  set: { type: "values" },
  "set-string": { type: "values" },
  values: { type: "strings", short: "f" },
} as const satisfies GoFlags;

type Flags = GoValues<typeof FLAGS>;

export const installCni: Command = {
  name: "install-cni",
  summary: "Print the manifests of the CNI plugin",
  usage:
    "install-cni [--cni-namespace NS] [--proxy-uid UID] [--proxy-gid GID] [--inbound-port PORT] [--outbound-port PORT] [--control-port PORT] [--admin-port PORT] [--skip-inbound-ports PORT|FIRST-LAST,…] [--skip-outbound-ports PORT|FIRST-LAST,…] [--redirect-ports PORT,…] [--cni-image NAME] [--cni-image-version V] [--registry NAME] [--cni-log-level LEVEL] [--dest-cni-net-dir FOLDER] [--dest-cni-bin-dir FOLDER] [--priority-class-name NAME] [--use-wait-flag] [--set KEY=VALUE]… [--set-string KEY=VALUE]… [-f|--values FILE]… [-o yaml|json]",

  async run(args, context) {
    const flags = parseGoFlags(args, FLAGS);
    if (!["yaml", "json"].includes(flags.output)) {
      throw new UsageError(`-o takes yaml or json, not "${flags.output}"`);
    }
    const namespace = requireName(flags["cni-namespace"], "--cni-namespace");
    const base = chartValues(CHART);
    const given = await withHelmFlags(overlay(base, flagValues(flags, base)), flags);
    attempt("use these values", () => {
      checkSchema(given, chartSchema(CHART));
      checkCniValues(given);
    });
    const values = overlay(given, { cliVersion: `heddle/cli ${clientVersion()}` });
    const options = { namespace, service: "CLI", values } as const;
    const objects = attempt("render the chart", () => chartObjects(CHART, options));
    const text = objects.map((object) =>
      flags.output === "json"
        ? JSON.stringify(object, null, 2)
        : `---\n${manifestOf(object).trimEnd()}`,
    );
    context.out(text.join("\n"));
    return 0;
  },
};

function flagValues(flags: Flags, base: Values): Values {
  const text = (key: string, value: string): Values => (value === "" ? {} : { [key]: value });
  const number = (key: string, value: number): Values => (value === -1 ? {} : { [key]: value });
  const version = flags["linkerd-version"];
  if (version !== "" && !/^[.a-zA-Z0-9-]+$/.test(version)) {
    throw new UsageError(`--linkerd-version "${version}" is not a valid version`);
  }
  return {
    ...number("proxyUID", flags["proxy-uid"]),
    ...number("proxyGID", flags["proxy-gid"]),
    ...number("inboundProxyPort", flags["inbound-port"]),
    ...number("outboundProxyPort", flags["outbound-port"]),
    ...number("proxyControlPort", flags["control-port"]),
    ...number("proxyAdminPort", flags["admin-port"]),
    ...text("ignoreInboundPorts", flags["skip-inbound-ports"].join(",")),
    ...text("ignoreOutboundPorts", flags["skip-outbound-ports"].join(",")),
    ...text("portsToRedirect", flags["redirect-ports"].join(",")),
    ...text("logLevel", flags["cni-log-level"]),
    ...text("destCNINetDir", flags["dest-cni-net-dir"]),
    ...text("destCNIBinDir", flags["dest-cni-bin-dir"]),
    ...text("priorityClassName", flags["priority-class-name"]),
    ...(flags["use-wait-flag"] ? { useWaitFlag: true } : {}),
    image: {
      name: imageName(flags, base["image"] as { readonly name: string }),
      ...text("version", flags["cni-image-version"]),
    },
  };
}

/** `--registry` is put in place of ours, and of Linkerd's. */
function imageName(flags: Flags, image: { readonly name: string }): string {
  const name = flags["cni-image"] || image.name;
  const { registry } = flags;
  if (registry === "") return name;
  if (!/^[-.a-zA-Z0-9/:]+$/.test(registry)) {
    throw new UsageError(
      `--registry "${registry}" is not a valid registry: letters, digits, dash, dot, slash, colon`,
    );
  }
  const known = [DEFAULT_REGISTRY, OWN_REGISTRY].find((one) => name.startsWith(`${one}/`));
  return known === undefined ? name : `${registry}${name.slice(known.length)}`;
}

/** What a schema cannot say. @throws SyntaxError */
function checkCniValues(values: Values): void {
  for (const key of ["ignoreInboundPorts", "ignoreOutboundPorts", "portsToRedirect"]) {
    const list = String(values[key]);
    if (list === "") continue;
    for (const item of list.split(",")) {
      const { first, last } = named(key, () => parsePortRange(item));
      if (key === "portsToRedirect" && first !== last) {
        throw new SyntaxError(`${key} is "${list}"; it takes no ranges`);
      }
    }
  }
  for (const key of ["destCNINetDir", "destCNIBinDir"]) {
    const folder = String(values[key]);
    if (!folder.startsWith("/")) {
      throw new SyntaxError(`${key} is "${folder}"; it must be a whole path`);
    }
  }
}

function named<T>(key: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new SyntaxError(`${key} is wrong`, { cause });
  }
}
