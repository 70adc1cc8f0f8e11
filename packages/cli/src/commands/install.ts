import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, SECRETS } from "@heddle/kube/types/core";
import { CLUSTER_OPTIONS, clusterClient, requireName } from "../cluster.ts";
import { type CliContext, type Command, UsageError } from "../command.ts";
import { chartObjects, chartValues } from "../helm/chart.ts";
import { manifestOf } from "../helm/manifest.ts";
import { overlay, parseValues, setValues, type Values } from "../helm/set-values.ts";
import { checkInstallValues, checkKnown, type InstallFacts } from "../install-values.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  crds: { type: "boolean", default: false },
  ha: { type: "boolean", default: false },
  "ignore-cluster": { type: "boolean", default: false },
  output: { type: "string", short: "o", default: "yaml" },
  set: { type: "string", multiple: true },
  "set-string": { type: "string", multiple: true },
  values: { type: "string", short: "f", multiple: true },
  "cluster-domain": { type: "string" },
  "identity-trust-domain": { type: "string" },
  "identity-external-issuer": { type: "boolean", default: false },
  "identity-external-ca": { type: "boolean", default: false },
  "identity-issuance-lifetime": { type: "string" },
  "identity-clock-skew-allowance": { type: "string" },
  "identity-issuer-certificate-file": { type: "string" },
  "identity-issuer-key-file": { type: "string" },
  "identity-trust-anchors-file": { type: "string" },
} as const;

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>["values"];

export const install: Command = {
  name: "install",
  summary: "Print the manifests of the control plane, or of its resources",
  usage:
    "install [--crds] [--ha] [--set KEY=VALUE]… [--set-string KEY=VALUE]… [-f|--values FILE]… [--ignore-cluster] [--cluster-domain D] [--identity-trust-domain D] [--identity-external-issuer] [--identity-external-ca] [--identity-issuance-lifetime T] [--identity-clock-skew-allowance T] [--identity-issuer-certificate-file FILE --identity-issuer-key-file FILE --identity-trust-anchors-file FILE] [-o yaml|json]",

  async run(args, context) {
    const { values: flags } = parseArgs({ args: [...args], options: OPTIONS });
    if (!["yaml", "json"].includes(flags.output)) {
      throw new UsageError(`-o takes yaml or json, not "${flags.output}"`);
    }
    const namespace = requireName(flags["linkerd-namespace"], "--linkerd-namespace");
    if (!flags["ignore-cluster"]) await checkCluster(flags, namespace, context);
    const chart = flags.crds ? "heddle-crds" : "heddle-control-plane";
    const values = flags.crds
      ? crdValues(flags)
      : await controlPlaneValues(flags, namespace, context);
    const options = { namespace, service: "CLI", values } as const;
    const objects = attempt("render the chart", () => chartObjects(chart, options));
    const text = objects.map((object) =>
      flags.output === "json"
        ? JSON.stringify(object, null, 2)
        : `---\n${manifestOf(object).trimEnd()}`,
    );
    context.out(text.join("\n").trimEnd());
    if (flags.crds) context.err("These are the resources only. Next: heddle install");
    return 0;
  },
};

/** Refuses what is installed already, and a control plane without its resources. */
async function checkCluster(flags: Flags, namespace: string, context: CliContext): Promise<void> {
  const client = clusterClient(flags, context);
  for (const name of ["linkerd-config", "linkerd-identity-trust-roots"]) {
    let installed: unknown;
    try {
      installed = await client.find(CONFIG_MAPS, { name, namespace });
    } catch (cause) {
      const message =
        "Cannot look at the cluster: its API does not answer; --ignore-cluster renders without one";
      throw new MeshError("no_cluster", "control", message, { cause });
    }
    if (installed === undefined) continue;
    const message = `Cannot install into namespace ${namespace}: a control plane of this mesh is there (ConfigMap ${name})`;
    throw new MeshError("already_installed", "client", message);
  }
  if (flags.crds) return;
  const wanted = chartObjects("heddle-crds", { namespace, service: "CLI", values: {} });
  for (const { metadata } of wanted as { readonly metadata: { readonly name: string } }[]) {
    const { name } = metadata;
    if ((await client.find(CUSTOM_RESOURCE_DEFINITIONS, { name })) !== undefined) continue;
    const message = `Cannot install: ${name} is missing; run heddle install --crds | kubectl apply -f - first`;
    throw new MeshError("no_crds", "client", message);
  }
}

function crdValues(flags: Flags): Values {
  const base = chartValues("heddle-crds");
  const values = valueFlags(base, flags);
  // Unset in the chart, where it means: as installGatewayAPI says.
  attempt("use these values", () => checkKnown(values, { ...base, enableHttpRoutes: false }));
  return values;
}

/** The chart's values, then flags, then value flags, then what must be made. */
async function controlPlaneValues(
  flags: Flags,
  namespace: string,
  context: CliContext,
): Promise<Values> {
  const base = chartValues("heddle-control-plane");
  const ha = flags.ha ? chartValues("heddle-control-plane", "values-ha.yaml") : {};
  const given = overlay(overlay(overlay(base, ha), flagValues(flags)), issuerFiles(flags));
  const values = valueFlags(given, flags);
  const facts = attempt("use these values", () => {
    checkKnown(values, base);
    return checkInstallValues(values);
  });
  const issuer =
    facts.scheme === "kubernetes.io/tls"
      ? await externalAnchors(facts, flags, namespace, context)
      : await ownIssuer(facts, namespace, context);
  const cliVersion = `heddle/cli ${String(base["linkerdVersion"])}`;
  return overlay(values, { cliVersion, ...issuer });
}

/** Of an issuer that somebody else keeps in its Secret, as cert-manager does. */
async function externalAnchors(
  { given, isExternalCa }: InstallFacts,
  flags: Flags,
  namespace: string,
  context: CliContext,
): Promise<Values> {
  if (given.certificate !== "" || given.key !== "") {
    throw badIssuer("use an issuer's files: with an external issuer its Secret holds them");
  }
  if (flags["ignore-cluster"]) {
    throw badIssuer("ignore the cluster: the external issuer's Secret is in it");
  }
  if (isExternalCa || given.anchors !== "") return {};
  const ref = { name: "linkerd-identity-issuer", namespace };
  const secret = await clusterClient(flags, context).find(SECRETS, ref);
  const anchors = Buffer.from(secret?.data?.["ca.crt"] ?? "", "base64").toString();
  if (anchors === "") {
    throw badIssuer(
      `read the anchors: Secret ${namespace}/${ref.name} has no ca.crt; give --identity-trust-anchors-file or --identity-external-ca`,
    );
  }
  return { identityTrustAnchorsPEM: anchors };
}

/** What is given, if it holds together, or a new authority. */
async function ownIssuer(
  { given, trustDomain }: InstallFacts,
  namespace: string,
  context: CliContext,
): Promise<Values> {
  const { anchors, certificate, key } = given;
  const count = [anchors, certificate, key].filter((pem) => pem !== "").length;
  if (count === 3) {
    await checkIssuer(given, context.clock.wallMs());
    return {};
  }
  if (count > 0) {
    throw badIssuer(
      "use an issuer by halves: give --identity-trust-anchors-file, --identity-issuer-certificate-file and --identity-issuer-key-file, or none",
    );
  }
  const { createSelfSigned } = await import("@heddle/control/identity/bootstrap");
  const { clock } = context;
  const made = await createSelfSigned({ controlNamespace: namespace, trustDomain, clock });
  return {
    identityTrustAnchorsPEM: made.anchorsPem,
    identity: { issuer: { tls: { crtPEM: made.issuerPem, keyPEM: made.issuerKeyPem } } },
  };
}

/** As the control plane will, which would refuse it only when it is installed. */
async function checkIssuer(given: InstallFacts["given"], nowMs: number): Promise<void> {
  const { loadIssuer } = await import("@heddle/control/identity/issuer");
  const { parseCertificates } = await import("@heddle/control/identity/chain");
  const anchors = parseCertificates(given.anchors, "trust anchors");
  const issuer = await loadIssuer(given.certificate, given.key);
  const problem = issuer.problem(anchors, nowMs);
  if (problem !== undefined) throw badIssuer(`use this issuer: ${problem}`);
}

function badIssuer(what: string): MeshError {
  return new MeshError("bad_issuer", "client", `Cannot ${what}`);
}

function flagValues(flags: Flags): Values {
  const text = (key: string, value: string | undefined): Values =>
    value === undefined ? {} : { [key]: value };
  return {
    ...text("clusterDomain", flags["cluster-domain"]),
    ...text("identityTrustDomain", flags["identity-trust-domain"]),
    identity: {
      ...(flags["identity-external-ca"] ? { externalCA: true } : {}),
      issuer: {
        ...(flags["identity-external-issuer"] ? { scheme: "kubernetes.io/tls" } : {}),
        ...text("issuanceLifetime", flags["identity-issuance-lifetime"]),
        ...text("clockSkewAllowance", flags["identity-clock-skew-allowance"]),
      },
    },
  };
}

function issuerFiles(flags: Flags): Values {
  const anchors = read(flags["identity-trust-anchors-file"]);
  const crtPEM = read(flags["identity-issuer-certificate-file"]);
  const keyPEM = read(flags["identity-issuer-key-file"]);
  const tls = { ...(crtPEM && { crtPEM }), ...(keyPEM && { keyPEM }) };
  return {
    ...(anchors === undefined ? {} : { identityTrustAnchorsPEM: anchors }),
    ...(Object.keys(tls).length === 0 ? {} : { identity: { issuer: { tls } } }),
  };
}

function valueFlags(under: Values, flags: Flags): Values {
  let values = under;
  for (const path of flags.values ?? []) {
    const text = read(path) ?? "";
    values = overlay(
      values,
      attempt(`use ${path}`, () => parseValues(text)),
    );
  }
  for (const pair of flags.set ?? []) {
    values = attempt(`use --set ${pair}`, () => setValues(values, pair));
  }
  for (const pair of flags["set-string"] ?? []) {
    values = attempt(`use --set-string ${pair}`, () => setValues(values, pair, true));
  }
  return values;
}

function read(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MeshError("bad_file", "client", `Cannot read ${path}`, { cause });
  }
}

/** What does not parse is the caller's fault, and is told as such. */
function attempt<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw new MeshError("bad_values", "client", `Cannot ${what}`, { cause });
  }
}
