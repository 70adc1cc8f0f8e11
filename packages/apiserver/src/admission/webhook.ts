import { digArray, digObject, digString, type Json, own } from "@heddle/apiserver/json/value";
import { type LabelSelector, selectorOf } from "@heddle/apiserver/objects/label-selector";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";

export type Operation = "CREATE" | "UPDATE" | "DELETE";

/** For which requests a webhook is called. `*` stands for everything. */
export interface Rule {
  readonly operations: readonly string[];
  readonly groups: readonly string[];
  readonly versions: readonly string[];
  /** `pods`, `pods/status`, `pods/*`, `*`, and `*` with any subresource. */
  readonly resources: readonly string[];
  readonly scope: string;
}

/** Where a webhook answers: an HTTPS address, or a port of a Service. */
export type Destination =
  | { readonly kind: "url"; readonly url: URL }
  | {
      readonly kind: "service";
      readonly namespace: string;
      readonly name: string;
      readonly port: number;
      readonly path: string;
    };

/** One webhook of a configuration, read once. */
export interface Webhook {
  readonly name: string;
  readonly destination: Destination;
  /** Authorities of its certificate, PEM; undefined for those that the system trusts. */
  readonly caPem: string | undefined;
  readonly rules: readonly Rule[];
  readonly namespaceSelector: LabelSelector;
  readonly objectSelector: LabelSelector;
  /** Whether its rules mean objects of all versions, and not only those that they name. */
  readonly isEquivalent: boolean;
  /** Whether a request goes on when the webhook cannot be asked. */
  readonly isIgnorable: boolean;
  readonly hasSideEffects: boolean;
  /** Asked again when a later webhook has changed the object. */
  readonly isReinvoked: boolean;
  readonly timeoutMs: number;
  /** Of AdmissionReview; the first that both sides know. */
  readonly reviewVersion: "v1" | "v1beta1";
}

export const WEBHOOK_GROUP = "admissionregistration.k8s.io";
const KEYS = {
  mutating: `${WEBHOOK_GROUP}/mutatingwebhookconfigurations`,
  validating: `${WEBHOOK_GROUP}/validatingwebhookconfigurations`,
} as const;

/** By revision of a configuration, so that each is read once. */
const READ = new WeakMap<Entry, readonly Webhook[]>();

/** All webhooks of a sort: configurations by name, and the webhooks of each in their order. */
export function webhooksOf(store: Store, sort: "mutating" | "validating"): readonly Webhook[] {
  const key = KEYS[sort];
  if (store.count(key) === 0) return [];
  const found: Webhook[] = [];
  for (const entry of store.scan(key, "")) {
    let webhooks = READ.get(entry);
    if (webhooks === undefined) {
      webhooks = digArray(entry.object, "webhooks").map(readWebhook);
      READ.set(entry, webhooks);
    }
    found.push(...webhooks);
  }
  return found;
}

/** Of an object that the schema and the strategy have taken. */
function readWebhook(webhook: Json): Webhook {
  const text = (key: string): string => digString(webhook, key) ?? "";
  const bundle = digString(webhook, "clientConfig", "caBundle") ?? "";
  const seconds = own(webhook, "timeoutSeconds");
  const versions = digArray(webhook, "admissionReviewVersions");
  return {
    name: text("name"),
    destination: readDestination(digObject(webhook, "clientConfig")),
    caPem: bundle === "" ? undefined : Buffer.from(bundle, "base64").toString(),
    rules: digArray(webhook, "rules").map(readRule),
    namespaceSelector: selectorOf(own(webhook, "namespaceSelector")),
    objectSelector: selectorOf(own(webhook, "objectSelector")),
    isEquivalent: text("matchPolicy") !== "Exact",
    isIgnorable: text("failurePolicy") === "Ignore",
    hasSideEffects: text("sideEffects") !== "None" && text("sideEffects") !== "NoneOnDryRun",
    isReinvoked: text("reinvocationPolicy") === "IfNeeded",
    timeoutMs: (typeof seconds === "number" ? seconds : 10) * 1_000,
    reviewVersion: versions.find((one) => one === "v1" || one === "v1beta1") as "v1" | "v1beta1",
  };
}

function readDestination(config: Json | undefined): Destination {
  const url = digString(config, "url");
  if (url !== undefined) return { kind: "url", url: new URL(url) };
  const service = digObject(config, "service");
  const port = own(service, "port");
  return {
    kind: "service",
    namespace: digString(service, "namespace") ?? "",
    name: digString(service, "name") ?? "",
    port: typeof port === "number" ? port : 443,
    path: digString(service, "path") ?? "/",
  };
}

function readRule(rule: Json): Rule {
  const texts = (key: string): readonly string[] => digArray(rule, key).map(String);
  return {
    operations: texts("operations"),
    groups: texts("apiGroups"),
    versions: texts("apiVersions"),
    resources: texts("resources"),
    scope: digString(rule, "scope") ?? "*",
  };
}
