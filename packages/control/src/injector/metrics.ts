import type { Counter, Family, Registry } from "@heddle/base/metrics";
import { CONFIG_ANNOTATIONS } from "@heddle/inject/annotations";
import type { Decision } from "@heddle/inject/decision";

/** Values are a pod's own text: cut, so that one pod cannot fill the memory. */
const MAX_LABEL = 256;
/** Series beyond this are not made; their admissions count nowhere. */
const MAX_SERIES = 10_000;

export interface Admission {
  readonly ownerKind: string;
  readonly namespace: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly decision: Decision;
}

/** Linkerd's counters of admissions. */
export class InjectorMetrics {
  readonly #requests: Family<Counter>;
  readonly #responses: Family<Counter>;

  constructor(registry: Registry) {
    this.#requests = registry.counter(
      "proxy_inject_admission_requests_total",
      "Admissions that were asked for.",
    );
    this.#responses = registry.counter(
      "proxy_inject_admission_responses_total",
      "Admissions that were answered.",
    );
  }

  count({ ownerKind, namespace, annotations, decision }: Admission): void {
    if (this.#responses.size >= MAX_SERIES) return;
    const shared = { owner_kind: ownerKind, namespace };
    const settings = {
      annotation_at: decision.annotationAt,
      ...Object.fromEntries(
        CONFIG_ANNOTATIONS.map((key) => [
          key.slice(key.indexOf("/") + 1).replaceAll("-", "_"),
          (Object.hasOwn(annotations, key) ? annotations[key]! : "").slice(0, MAX_LABEL),
        ]),
      ),
    };
    this.#requests.with({ ...shared, ...settings }).inc();
    this.#responses
      .with({
        ...shared,
        skip: String(decision.reasons.length > 0),
        skip_reason: decision.reasons.join(","),
        ...settings,
      })
      .inc();
  }
}
