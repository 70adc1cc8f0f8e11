import { digObject, digString, type JsonObject, own } from "@heddle/apiserver/json/value";
import { matchesLabels } from "@heddle/apiserver/objects/label-selector";
import type { StoreEvent } from "@heddle/apiserver/store/history";
import type { Log } from "@heddle/base/log";
import { WorkQueue } from "../work-queue.ts";
import { SERVICE_LABEL } from "./packing.ts";
import { ENDPOINTS, reconcileService, SLICES, type SliceParts } from "./slices.ts";

/** Hears of Services, pods, Endpoints and slices, and says which Services need work. */
export class SliceController {
  readonly #parts: SliceParts;
  readonly #queue: WorkQueue;
  readonly #unsubscribe: readonly (() => void)[];

  constructor(parts: SliceParts, log: Log) {
    this.#parts = parts;
    this.#queue = new WorkQueue({
      name: "slices",
      log,
      reconcile: (key) => {
        const [namespace = "", name = ""] = key.split("/");
        return reconcileService(parts, namespace, name);
      },
    });
    const { store } = parts;
    const on = (resource: string, onEvent: (event: StoreEvent) => void): (() => void) =>
      store.subscribe({ resource, namespace: "", onEvent });
    this.#unsubscribe = [
      on("/services", ({ entry }) => this.#queue.add(entry.key)),
      on(ENDPOINTS, ({ entry }) => this.#queue.add(entry.key)),
      on("/pods", (event) => this.#podChanged(event)),
      on(SLICES, ({ entry }) => {
        const service = digString(entry.object, "metadata", "labels", SERVICE_LABEL);
        if (service !== undefined) this.#queue.add(`${entry.namespace}/${service}`);
      }),
    ];
    for (const entry of store.all("/services")) this.#queue.add(entry.key);
    // Services that ended while nobody looked.
    for (const entry of store.all(SLICES)) {
      const service = digString(entry.object, "metadata", "labels", SERVICE_LABEL);
      if (service !== undefined) this.#queue.add(`${entry.namespace}/${service}`);
    }
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#queue.stop();
  }

  /** Every Service that selects the pod, or did before. */
  #podChanged({ entry, previous }: StoreEvent): void {
    for (const service of this.#parts.store.scan("/services", entry.namespace)) {
      const selector = digObject(service.object, "spec", "selector");
      if (selector === undefined || Object.keys(selector).length === 0) continue;
      const isSelected = selects(selector, entry.object);
      const wasSelected = previous !== undefined && selects(selector, previous.object);
      if (isSelected || wasSelected) this.#queue.add(service.key);
    }
  }
}

function selects(selector: JsonObject, pod: JsonObject): boolean {
  const requirements = Object.entries(selector).map(([key, value]) => ({
    key,
    operator: "In" as const,
    values: [String(value)],
  }));
  return matchesLabels(requirements, own(own(pod, "metadata"), "labels"));
}
