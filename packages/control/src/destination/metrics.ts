import type { Counter, Family, Gauge, Labels, Registry } from "@heddle/base/metrics";
import type { Authority, ContextToken, ServiceName } from "./authority.ts";
import type { EndpointView } from "./endpoint-view.ts";
import type { ViewMeter } from "./streams.ts";

/** The families of `destination.md` section 8 that speak of streams. */
export class DestinationMetrics {
  readonly #subscribers: Family<Gauge>;
  readonly #updates: Family<Counter>;
  readonly #pods: Family<Gauge>;
  readonly #exists: Family<Gauge>;
  readonly #overflows: Family<Counter>;
  readonly #profileSubscribers: Family<Gauge>;
  readonly #profileUpdates: Family<Counter>;
  readonly #profileOverflows: Family<Counter>;

  constructor(registry: Registry) {
    this.#subscribers = registry.gauge("endpoints_subscribers", "Streams of endpoints");
    this.#updates = registry.counter("endpoints_updates", "Changes of endpoints that were sent");
    this.#pods = registry.gauge("endpoints_pods", "Endpoints that streams were told of");
    this.#exists = registry.gauge("endpoints_exists", "1 if there is any endpoint");
    this.#overflows = registry.counter(
      "endpoint_updates_queue_overflow",
      "Streams of endpoints that ended since their client was too slow",
    );
    this.#profileSubscribers = registry.gauge("profile_subscribers", "Streams of profiles");
    this.#profileUpdates = registry.counter(
      "profile_updates",
      "Changes of profiles that were sent",
    );
    this.#profileOverflows = registry.counter(
      "profile_updates_queue_overflow",
      "Streams of profiles that ended since their client was too slow",
    );
  }

  /** Counts of one view; its series go when its last stream does. */
  endpoints(
    view: EndpointView,
    service: ServiceName,
    authority: Authority,
    token: ContextToken,
  ): ViewMeter {
    const labels = {
      cluster: "local",
      namespace: service.namespace,
      service: service.name,
      port: String(authority.port),
      hostname: service.hostname ?? "",
      nodename: token.nodeName ?? "",
    };
    const overflow = this.#overflows.with({ service: `${service.name}.${service.namespace}` });
    const gauges = [this.#pods, this.#exists];
    return meter(labels, this.#subscribers, this.#updates, overflow, {
      refresh: () => {
        const count = view.endpoints.length;
        this.#pods.with(labels).set(count);
        this.#exists.with(labels).set(count > 0 ? 1 : 0);
      },
      forget: () => {
        for (const family of gauges) family.remove(labels);
      },
    });
  }

  profile(namespace: string, name: string): ViewMeter {
    const labels = { namespace, profile: name };
    const overflow = this.#profileOverflows.with();
    const nothing = { refresh: () => {}, forget: () => {} };
    return meter(labels, this.#profileSubscribers, this.#profileUpdates, overflow, nothing);
  }
}

function meter(
  labels: Labels,
  subscribers: Family<Gauge>,
  updates: Family<Counter>,
  overflow: Counter,
  more: { refresh(): void; forget(): void },
): ViewMeter {
  let open = 0;
  return {
    opened: () => {
      open++;
      subscribers.with(labels).set(open);
      more.refresh();
    },
    closed: () => {
      open--;
      subscribers.with(labels).set(open);
      if (open > 0) return;
      subscribers.remove(labels);
      updates.remove(labels);
      more.forget();
    },
    updated: () => {
      updates.with(labels).inc();
      more.refresh();
    },
    overflowed: () => overflow.inc(),
  };
}
