import assert from "node:assert/strict";
import { test } from "node:test";
import { installValidators } from "@heddle/control/webhook/install";
import { VALIDATING_WEBHOOKS, type WebhookConfiguration } from "@heddle/kube/types/webhooks";
import { ApiStore } from "@heddle/testkit/api-store";
import { parseAllDocuments } from "yaml";
import { runInProcess } from "../testing/run.ts";

test("the chart's validators judge what heddle up's do, in the same namespaces", async () => {
  await using store = await ApiStore.start();
  const url = "https://127.0.0.1:1/";
  await installValidators(store.client, { policyUrl: url, profileUrl: url, caPem: "CA" }, "Ignore");
  const { items } = await store.client.list(VALIDATING_WEBHOOKS);
  const { out } = await runInProcess(["install", "--ignore-cluster"]);
  const printed = parseAllDocuments(out)
    .map((document) => document.toJS() as WebhookConfiguration)
    .filter(({ kind }) => kind === VALIDATING_WEBHOOKS.kind);
  assert.deepEqual(printed.map(judged).sort(byName), items.map(judged).sort(byName));
});

interface Judged {
  readonly name: string;
  readonly rules: readonly unknown[];
  readonly namespaceSelector: unknown;
}

function judged({ webhooks }: WebhookConfiguration): Judged {
  const [webhook] = webhooks;
  const { name, namespaceSelector } = webhook!;
  const rules = webhook!.rules.map(({ operations, apiGroups, apiVersions, resources }) => ({
    operations,
    apiGroups,
    apiVersions,
    resources,
  }));
  return { name, rules, namespaceSelector };
}

function byName({ name }: Judged, other: Judged): number {
  return name < other.name ? -1 : 1;
}
