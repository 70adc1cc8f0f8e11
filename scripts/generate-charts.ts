/**
 * Writes the templates of charts/heddle-crds from the definitions in packages/control/src/crds, so
 * that the chart and `heddle up` install the same, and the schema of the control plane's values. Run
 * after every change to them.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestOf } from "@heddle/cli/helm/manifest";
import { gatewayDefinitions, linkerdDefinitions } from "@heddle/control/crds/install";
import { controlPlaneSchema, SCHEMA_PATH } from "./chart-schema.ts";

const FOLDER = join(import.meta.dirname, "..", "charts", "heddle-crds", "templates");

/** The values that ask for a kind of route, where `installGatewayAPI` is not to decide. */
const WANTED_BY: Readonly<Record<string, string>> = {
  HTTPRoute: "enableHttpRoutes",
  GRPCRoute: "enableHttpRoutes",
  TLSRoute: "enableTlsRoutes",
  TCPRoute: "enableTcpRoutes",
};

/** Every template of the chart, by its file's name. */
export function crdTemplates(): Map<string, string> {
  const templates = new Map<string, string>();
  for (const definition of linkerdDefinitions()) {
    templates.set(`${definition.metadata.name}.yaml`, yamlOf(definition));
  }
  for (const definition of gatewayDefinitions()) {
    const { metadata, spec } = definition;
    const value = WANTED_BY[spec.names.kind];
    if (value === undefined) throw new Error(`Cannot write ${metadata.name}: no value asks for it`);
    // Routes outlive the chart: removing the kind would remove everybody's routes.
    const annotations = { ...metadata.annotations, "helm.sh/resource-policy": "keep" };
    const kept = { ...definition, metadata: { ...metadata, annotations } };
    const wanted = `{{- if hasKey .Values "${value}" }}{{ $wanted = .Values.${value} }}{{ end }}`;
    templates.set(
      `${metadata.name}.yaml`,
      `{{- $wanted := .Values.installGatewayAPI }}\n${wanted}\n{{- if $wanted }}\n${yamlOf(kept)}{{- end }}\n`,
    );
  }
  return templates;
}

/** What the chart's folder holds. */
export function writtenCrdTemplates(): Map<string, string> {
  return new Map(
    readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), "utf8")]),
  );
}

function yamlOf(definition: object): string {
  const head = { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition" };
  const text = manifestOf({ ...head, ...definition });
  // Braces of a description are no actions.
  if (text.includes("{{")) throw new Error("Cannot write a template: a definition contains {{");
  return text.replace(OWN_MARKS, (_, indent: string) => marks(indent));
}

/** What marks a definition as this mesh's, which `heddle up` knows beforehand and a chart does not. */
const OWN_MARKS =
  /^( +)linkerd\.io\/control-plane-ns: linkerd\n +annotations:\n +linkerd\.io\/created-by: heddle$/m;

function marks(indent: string): string {
  return [
    `${indent}helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}`,
    `${indent}linkerd.io/control-plane-ns: {{ .Release.Namespace }}`,
    "  annotations:",
    `${indent}linkerd.io/created-by: {{ .Values.cliVersion | default (printf "heddle/helm %s" .Chart.AppVersion) }}`,
  ].join("\n");
}

if (import.meta.main) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const templates = crdTemplates();
  for (const [name, text] of templates) writeFileSync(join(FOLDER, name), text);
  writeFileSync(SCHEMA_PATH, controlPlaneSchema());
  console.log(`generate-charts: ${templates.size} files in charts/heddle-crds/templates`);
}
