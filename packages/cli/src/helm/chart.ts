import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { HelmFunction } from "./functions.ts";
import { renderChart } from "./render.ts";
import { overlay, parseValues, type Values } from "./set-values.ts";

const CHARTS = join(import.meta.dirname, "..", "..", "..", "..", "charts");

export type ChartName = "heddle-crds" | "heddle-control-plane" | "heddle-cni";

export interface ChartOptions {
  readonly namespace: string;
  /** `CLI` when we render, `Helm` when Helm would. */
  readonly service: "CLI" | "Helm";
  readonly values: Readonly<Values>;
  /** Left out where no template asks for them. */
  readonly facts?: ChartFacts;
}

export interface Pair {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** What templates ask for that is not in their values; rendering itself asks nobody. */
export interface ChartFacts {
  readonly nowMs: number;
  /** Secrets of the release's namespace by name, for `lookup`. */
  readonly secrets: ReadonlyMap<string, object>;
  /** By host, for `genSelfSignedCert`. */
  readonly certificates: ReadonlyMap<string, Pair>;
}

/** One of a chart's own values files. */
export function chartValues(chart: ChartName, file = "values.yaml"): Values {
  return parseValues(readFileSync(join(CHARTS, chart, file), "utf8"));
}

/**
 * The objects of a chart, with `values` on top of its own.
 *
 * @throws SyntaxError that names the template's file and line.
 */
export function chartObjects(chart: ChartName, options: ChartOptions): object[] {
  const { namespace, service, values, facts } = options;
  const folder = join(CHARTS, chart, "templates");
  const files = new Map(
    readdirSync(folder).map((name) => [
      `${chart}/templates/${name}`,
      readFileSync(join(folder, name), "utf8"),
    ]),
  );
  const root = {
    Values: overlay(chartValues(chart), values),
    Release: { Name: chart, Namespace: namespace, Service: service },
    Chart: chartFacts(chart),
  };
  const own = facts === undefined ? new Map<string, HelmFunction>() : functionsOf(facts, namespace);
  const objects = [...renderChart(files, root, own)].flatMap(([file, text]) =>
    objectsOf(file, text),
  );
  return objects.sort((a, b) => rank(a) - rank(b));
}

/** The schema of a chart's values. */
export function chartSchema(chart: ChartName): unknown {
  return JSON.parse(readFileSync(join(CHARTS, chart, "values.schema.json"), "utf8"));
}

function chartFacts(chart: ChartName): Values {
  const { name, version, appVersion } = chartValues(chart, "Chart.yaml");
  return { Name: name, Version: version, AppVersion: appVersion };
}

function functionsOf(facts: ChartFacts, namespace: string): ReadonlyMap<string, HelmFunction> {
  return new Map<string, HelmFunction>([
    ["now", () => facts.nowMs],
    ["unixEpoch", (nowMs) => String(Math.floor(Number(nowMs) / 1000))],
    [
      "lookup",
      (_version, kind, where, name) =>
        kind === "Secret" && where === namespace ? (facts.secrets.get(String(name)) ?? {}) : {},
    ],
    [
      "genSelfSignedCert",
      (host) => {
        const pair = facts.certificates.get(String(host));
        if (pair === undefined) throw new SyntaxError(`no certificate was made for ${host}`);
        return { Cert: pair.certificate, Key: pair.key };
      },
    ],
  ]);
}

/** What others need comes first, as Helm does it; kinds that are not here come last. */
const INSTALL_ORDER: readonly string[] = [
  "Namespace",
  "PodDisruptionBudget",
  "ServiceAccount",
  "Secret",
  "ConfigMap",
  "CustomResourceDefinition",
  "ClusterRole",
  "ClusterRoleBinding",
  "Role",
  "RoleBinding",
  "Service",
  "DaemonSet",
  "Deployment",
  "Job",
  "CronJob",
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
];

function rank(object: object): number {
  const at = INSTALL_ORDER.indexOf(String((object as { readonly kind?: unknown }).kind));
  return at < 0 ? INSTALL_ORDER.length : at;
}

function objectsOf(file: string, text: string): object[] {
  const objects: object[] = [];
  for (const document of parseAllDocuments(text)) {
    const [problem] = document.errors;
    if (problem !== undefined) throw new SyntaxError(`${file}: ${problem.message}`);
    const value: unknown = document.toJS();
    if (value === null) continue;
    if (typeof value !== "object") throw new SyntaxError(`${file}: a document is no object`);
    objects.push(value);
  }
  return objects;
}
