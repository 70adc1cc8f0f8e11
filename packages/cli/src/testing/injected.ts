import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { type CliRun, runInProcess } from "./run.ts";

/** What a test reads of injected YAML; not the injector's own types. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly ports?: readonly { readonly containerPort: number; readonly name?: string }[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly restartPolicy?: string;
  readonly securityContext?: { readonly runAsUser?: number };
  readonly resources?: unknown;
}

/** What a test reads of an injected pod template. */
export interface Template {
  readonly metadata: {
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers: readonly Container[];
    readonly volumes: readonly { readonly name: string }[];
  };
}

/** Runs with a folder of its own, which is gone afterwards. */
export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-inject-"));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Injects one text, without a cluster. */
export function inject(manifest: string, ...flags: readonly string[]): Promise<CliRun> {
  return inFolder(async (folder) => {
    const path = join(folder, "in.yaml");
    await writeFile(path, manifest);
    return runInProcess(["inject", "--ignore-cluster", ...flags, path]);
  });
}

/** A pod template, indented not at all. */
export const POD: string = `metadata:
  labels: { app: web }
spec:
  containers:
  - name: web
    image: web:1
    ports:
    - containerPort: 8080
    - containerPort: 3306
    readinessProbe: { httpGet: { port: 9000 } }
`;

/** What selects its pods. */
export const SELECTOR: string = "selector: { matchLabels: { app: web } }";

/** Text further to the right. */
export function indent(text: string, by: number): string {
  return text.trimEnd().replaceAll(/^/gm, " ".repeat(by));
}

/** A workload `shop/web` of a kind, around the template. */
export function workload(kind: string): string {
  const apiVersion: Readonly<Record<string, string>> = {
    Pod: "v1",
    ReplicationController: "v1",
    Job: "batch/v1",
    CronJob: "batch/v1",
  };
  const head = `apiVersion: ${apiVersion[kind] ?? "apps/v1"}\nkind: ${kind}\n`;
  const meta = "metadata:\n  name: web\n  namespace: shop\n";
  if (kind === "Pod") {
    return `${head}${meta}  labels: { app: web }\n${POD.slice(POD.indexOf("spec:"))}`;
  }
  if (kind === "CronJob") {
    const job = `jobTemplate:\n    spec:\n      template:\n${indent(POD, 8)}\n`;
    return `${head}${meta}spec:\n  schedule: "0 * * * *"\n  ${job}`;
  }
  const selector = kind === "Job" ? "" : `  ${SELECTOR}\n`;
  return `${head}${meta}spec:\n${selector}  template:\n${indent(POD, 4)}\n`;
}

/** The pod template of a workload; a pod is its own. */
export function templateOf(document: unknown): Template {
  const { kind, spec } = document as {
    readonly kind: string;
    readonly spec: {
      readonly template: Template;
      readonly jobTemplate: { spec: { template: Template } };
    };
  };
  if (kind === "Pod") return document as Template;
  return kind === "CronJob" ? spec.jobTemplate.spec.template : spec.template;
}

/** The only document of an output. */
export function only(out: string): unknown {
  const documents = parseAllDocuments(out).map((document) => document.toJS() as unknown);
  const found = documents.filter((document) => document !== null);
  assert.equal(found.length, 1, out);
  return found[0];
}

/** A container of a template, wherever it stands. */
export function container({ spec }: Template, name: string): Container {
  const found = [...spec.initContainers, ...spec.containers].find((one) => one.name === name);
  assert.ok(found !== undefined, `${name} is missing`);
  return found;
}

/** The value of a variable of the proxy. */
export function variable(template: Template, name: string): string | undefined {
  const found = container(template, "linkerd-proxy").env?.find((one) => one.name === name);
  assert.ok(found !== undefined, `${name} is missing`);
  return found.value;
}
