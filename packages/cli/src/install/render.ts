import { SECRETS, type Secret } from "@heddle/kube/types/core";
import type { CliContext } from "../command.ts";
import { clientVersion } from "../commands/version.ts";
import { type ChartFacts, type ChartName, chartObjects, chartValues } from "../helm/chart.ts";
import { manifestOf } from "../helm/manifest.ts";
import { overlay, type Values } from "../helm/set-values.ts";
import { attempt } from "../helm/value-flags.ts";
import type { ClusterReader } from "./installed.ts";
import { overridesOf, overridesSecret } from "./overrides.ts";

/** As Linkerd's charts make them. */
const WEBHOOK_LIFETIME_MS = 365 * 86_400_000;
const WEBHOOKS = ["linkerd-proxy-injector", "linkerd-sp-validator", "linkerd-policy-validator"];

/** The objects of the control plane, with the Secret that the next upgrade reads. */
export async function controlPlaneObjects(
  values: Values,
  namespace: string,
  context: CliContext,
  cluster: ClusterReader | undefined,
): Promise<object[]> {
  const facts = await chartFacts(namespace, context, cluster);
  const objects = render("heddle-control-plane", withCliVersion(values), namespace, facts);
  const overrides = overridesOf(values, chartValues("heddle-control-plane"));
  const labels = (values["commonLabels"] ?? {}) as object;
  return [...objects, overridesSecret(overrides, namespace, labels)];
}

/** The objects of the chart of resources. */
export function definitionObjects(values: Values, namespace: string): object[] {
  return render("heddle-crds", withCliVersion(values), namespace);
}

/** Prints objects as one YAML stream, or as JSON documents. */
export function printObjects(
  objects: readonly object[],
  format: "yaml" | "json",
  context: CliContext,
): void {
  const text = objects.map((object) =>
    format === "json" ? JSON.stringify(object, null, 2) : `---\n${manifestOf(object).trimEnd()}`,
  );
  context.out(text.join("\n").trimEnd());
}

function withCliVersion(values: Values): Values {
  return overlay(values, { cliVersion: `heddle/cli ${clientVersion()}` });
}

/** A default that was taken away must not come back from the chart, so it is told as null. */
function render(chart: ChartName, all: Values, namespace: string, facts?: ChartFacts): object[] {
  const values = overridesOf(all, chartValues(chart));
  const options = { namespace, service: "CLI", values, ...(facts && { facts }) } as const;
  return attempt("render the chart", () => chartObjects(chart, options));
}

/** The webhooks' Secrets that are there, and a certificate for each, should it be needed. */
async function chartFacts(
  namespace: string,
  context: CliContext,
  cluster: ClusterReader | undefined,
): Promise<ChartFacts> {
  const { createWebhookPair } = await import("@heddle/control/webhook/certificate");
  const nowMs = context.clock.wallMs();
  const secrets = new Map<string, Secret>();
  for (const webhook of WEBHOOKS) {
    const name = `${webhook}-k8s-tls`;
    const found = await cluster?.find(SECRETS, { namespace, name });
    if (found !== undefined) secrets.set(name, found);
  }
  const hosts = WEBHOOKS.map((webhook) => `${webhook}.${namespace}.svc`);
  const certificates = new Map(
    await Promise.all(
      hosts.map(async (host) => {
        const name = { type: "dns", value: host } as const;
        return [host, await createWebhookPair(name, nowMs, WEBHOOK_LIFETIME_MS)] as const;
      }),
    ),
  );
  return { nowMs, secrets, certificates };
}
