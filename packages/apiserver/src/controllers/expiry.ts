import { digString } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import { PLAIN_DELETE } from "@heddle/apiserver/objects/delete-options";
import type { ObjectWriter } from "@heddle/apiserver/objects/writer";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Store } from "@heddle/apiserver/store/store";
import type { Clock } from "@heddle/base/clock";
import { targetOf } from "./bootstrap.ts";

/** Kubernetes keeps events for an hour. */
const EVENT_LIFE_MS = 3_600_000;

/** Deletes events that have had their time. */
export async function expireEvents(parts: {
  readonly store: Store;
  readonly registry: Registry;
  readonly writer: ObjectWriter;
  readonly clock: Clock;
}): Promise<void> {
  const before = parts.clock.wallMs() - EVENT_LIFE_MS;
  for (const entry of [...parts.store.all("/events")]) {
    const last =
      digString(entry.object, "lastTimestamp") ??
      digString(entry.object, "metadata", "creationTimestamp") ??
      "";
    if (!(Date.parse(last) < before)) continue;
    const target = targetOf(parts.registry, "/events", entry.namespace);
    try {
      await parts.writer.delete(target, entry.name, PLAIN_DELETE);
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 404) throw error;
    }
  }
}
