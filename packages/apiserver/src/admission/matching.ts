import { isObject, type Json, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { type LabelSelector, matchesLabels } from "@heddle/apiserver/objects/label-selector";
import type { Target } from "@heddle/apiserver/objects/target";
import type { Store } from "@heddle/apiserver/store/store";
import type { Attempt } from "./attempt.ts";
import { type Operation, type Rule, WEBHOOK_GROUP, type Webhook } from "./webhook.ts";

/** What a webhook may be called for, before it is known what the objects are. */
export interface Asked {
  readonly operation: Operation;
  readonly target: Target;
  readonly subresource: string;
}

/** Which webhooks mean a request. */
export class Matcher {
  readonly #store: Store;
  readonly #registry: Registry;

  constructor(store: Store, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
  }

  /**
   * In which version the webhook wants to see such requests; undefined if it wants none. The
   * request's own goes first.
   */
  seenAs(webhook: Webhook, asked: Asked): Target | undefined {
    const { target } = asked;
    // Nobody shall be able to lock everybody out of the configurations themselves.
    if (target.type.group === WEBHOOK_GROUP) return undefined;
    const isMeant = (one: Target): boolean =>
      webhook.rules.some((rule) => matchesRule(rule, one, asked));
    if (isMeant(target)) return target;
    if (!webhook.isEquivalent) return undefined;
    return this.#equivalents(target).find(isMeant);
  }

  /** Whether the selectors take the request too. */
  selects(webhook: Webhook, attempt: Attempt): boolean {
    const { object, old } = attempt;
    const { namespaceSelector: namespaces, objectSelector: objects } = webhook;
    if (namespaces.length > 0 && !this.#selectsNamespace(namespaces, attempt)) return false;
    if (objects.length === 0) return true;
    return [object, old].some((one) => one !== undefined && matchesLabels(objects, labelsOf(one)));
  }

  /** What has no namespace is always selected; a namespace is selected by its own labels. */
  #selectsNamespace(selector: LabelSelector, { target, object, old }: Attempt): boolean {
    if (target.type.key === "/namespaces") {
      return matchesLabels(selector, labelsOf(object ?? old ?? {}));
    }
    if (!target.type.isNamespaced) return true;
    const place = { resource: "/namespaces", namespace: "", name: target.namespace };
    return matchesLabels(selector, labelsOf(this.#store.get(place)?.object ?? {}));
  }

  /** The other versions of the same objects. */
  #equivalents({ type, view, namespace }: Target): Target[] {
    const found: Target[] = [];
    for (const other of this.#registry.all()) {
      if (other.key !== type.key) continue;
      for (const version of other.versions) {
        if (version !== view) found.push({ type: other, view: version, namespace });
      }
    }
    return found;
  }
}

function matchesRule(
  { operations, groups, versions, resources, scope }: Rule,
  { type, view }: Target,
  { operation, subresource }: Asked,
): boolean {
  const wantedScope = type.isNamespaced ? "Namespaced" : "Cluster";
  return (
    (scope === "*" || scope === wantedScope) &&
    has(operations, operation) &&
    has(groups, type.group) &&
    has(versions, view.version) &&
    resources.some((resource) => matchesResource(resource, type.plural, subresource))
  );
}

function has(values: readonly string[], value: string): boolean {
  return values.includes("*") || values.includes(value);
}

/** `pods` and `*` mean objects only; `pods/*` and all with a slash mean subresources as well. */
function matchesResource(text: string, plural: string, subresource: string): boolean {
  const [resource, below = ""] = text.split("/", 2);
  if (resource !== "*" && resource !== plural) return false;
  return below === "*" || below === subresource;
}

function labelsOf(object: JsonObject): Json | undefined {
  const labels = own(own(object, "metadata"), "labels");
  return isObject(labels) ? labels : undefined;
}
