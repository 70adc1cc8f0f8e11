import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "@heddle/base/backoff";
import { type Clock, systemClock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "./client.ts";
import { connectionError, hasReason, statusError } from "./errors.ts";
import { JsonLines } from "./json-lines.ts";
import type { KubeList, KubeObject, Resource } from "./types/meta.ts";
import type { WatchMetrics } from "./watch-metrics.ts";

/** Hears of everything that one watch sees. Nothing here may throw or wait. */
export interface WatchHandler<T> {
  /** The whole collection: at the start, and whenever the server has lost our place in it. */
  onList(items: readonly T[]): void;
  onApplied(object: T): void;
  onDeleted(object: T): void;
}

export interface WatchSettings<T extends KubeObject> {
  readonly client: KubeClient;
  readonly resource: Resource<T>;
  /** The same kind in other versions, best first: for servers that do not serve `resource`. */
  readonly otherVersions?: readonly Resource<T>[];
  /** Told which version is read, at first and when that changes. */
  readonly onVersion?: (resource: Resource<T>) => void;
  readonly handler: WatchHandler<T>;
  readonly signal: AbortSignal;
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly metadataOnly?: boolean;
  /** A server that does not know the kind has none of it; it is asked again every `absentRetryMs`. */
  readonly isOptional?: boolean;
  readonly absentRetryMs?: number;
  readonly log?: Log;
  readonly metrics?: WatchMetrics;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** The server ends each watch after this long, plus up to as much again by chance. */
  readonly watchSeconds?: number;
}

const MAX_EVENT_BYTES = 32 * 1024 * 1024;
/** A watch that the server should have ended this long ago is dead. */
const OVERDUE_MS = 30_000;
/**
 * Then everything is listed again. A version that is too large is one of before the server's data
 * were restored from a backup.
 */
const PLACE_LOST = ["Expired", "NotFound", "ResourceVersionTooLarge"] as const;
/** Watches that live less than this do not reset the backoff: a flapping server is left alone. */
const STEADY_MS = 5_000;

/**
 * Lists, then watches, for as long as the signal lasts. Resumes from the last resource version (of
 * an object or a bookmark) after every disconnection; lists again only when that is too old, or
 * when versions go back.
 */
export async function watchResource<T extends KubeObject>(
  settings: WatchSettings<T>,
): Promise<void> {
  const { signal, metrics, log, resource } = settings;
  const { clock = systemClock, random = Math.random } = settings;
  const { minBackoffMs = 200, maxBackoffMs = 30_000 } = settings;
  const backoff = new Backoff(minBackoffMs, maxBackoffMs, 0.5, random);
  /** How far we have read. */
  const place: Place<T> = { version: undefined, resource };
  while (!signal.aborted) {
    const startedMs = clock.nowMs();
    let delayMs = 0;
    try {
      await listAndWatch(settings, place, random);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof MeshError)) throw error;
      metrics?.failed();
      // A watch that finds nothing has lost its version, not the kind: only a list knows of that.
      const wasListing = place.version === undefined;
      if (hasReason(error, ...PLACE_LOST)) place.version = undefined;
      if (settings.isOptional === true && hasReason(error, "NotFound")) {
        if (wasListing) {
          settings.handler.onList([]);
          delayMs = settings.absentRetryMs ?? 30_000;
        }
      } else {
        log?.warn("watch failed", { resource: resource.plural, error: messageOf(error) });
      }
    }
    // An orderly end is no failure, unless it comes over and over.
    if (clock.nowMs() - startedMs >= STEADY_MS) backoff.reset();
    delayMs = Math.max(delayMs, backoff.next());
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
  }
}

interface Place<T extends KubeObject> {
  version: string | undefined;
  /** The version of the kind that is read. */
  resource: Resource<T>;
}

/** Runs one watch to its end, after a list if there is no place to start from. */
async function listAndWatch<T extends KubeObject>(
  settings: WatchSettings<T>,
  place: Place<T>,
  random: () => number,
): Promise<void> {
  const { client, signal, metrics } = settings;
  if (place.version === undefined) {
    const list = await listServed(settings, place);
    settings.handler.onList(list.items);
    place.version = list.metadata.resourceVersion ?? "";
    metrics?.listed();
  }
  const timeoutSeconds = Math.ceil((settings.watchSeconds ?? 290) * (1 + random()));
  const response = await client.openWatch(place.resource, {
    signal,
    timeoutSeconds,
    resourceVersion: place.version,
    namespace: settings.namespace,
    labelSelector: settings.labelSelector,
    fieldSelector: settings.fieldSelector,
    metadataOnly: settings.metadataOnly === true,
  });
  metrics?.connected();
  try {
    await readEvents(settings, response, place, timeoutSeconds * 1000 + OVERDUE_MS);
  } finally {
    metrics?.disconnected();
    response.destroy();
  }
}

/**
 * Lists the kind in the best version that the server has.
 *
 * @throws MeshError with reason `NotFound` if it has none.
 */
async function listServed<T extends KubeObject>(
  settings: WatchSettings<T>,
  place: Place<T>,
): Promise<KubeList<T>> {
  const { client, resource, otherVersions = [], onVersion } = settings;
  let absent: unknown;
  for (const version of [resource, ...otherVersions]) {
    try {
      const list = await client.list(version, settings);
      place.resource = version;
      onVersion?.(version);
      return list;
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      absent ??= error;
    }
  }
  throw absent;
}

function readEvents<T extends KubeObject>(
  settings: WatchSettings<T>,
  response: IncomingMessage,
  place: Place<T>,
  limitMs: number,
): Promise<void> {
  const action = `watch ${settings.resource.plural}`;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(overdue);
      reject(error);
      response.destroy();
    };
    const overdue = setTimeout(() => {
      fail(connectionError(action, "the server did not end it in time"));
    }, limitMs);
    const lines = new JsonLines(MAX_EVENT_BYTES, (value) => takeEvent(settings, value, place));
    response.on("data", (chunk: Buffer) => {
      try {
        settings.metrics?.heard();
        lines.push(chunk);
      } catch (error) {
        fail(error);
      }
    });
    response.once("end", () => {
      clearTimeout(overdue);
      resolve();
    });
    response.once("error", (error) => {
      fail(connectionError(action, "the connection broke", error));
    });
    response.once("close", () => {
      // After `end` or `error` this changes nothing.
      fail(connectionError(action, "the connection ended"));
    });
  });
}

/** @throws MeshError if the event is an error or none at all. */
function takeEvent<T extends KubeObject>(
  settings: WatchSettings<T>,
  value: unknown,
  place: Place<T>,
): void {
  const { handler } = settings;
  const action = `watch ${settings.resource.plural}`;
  const { type, object } = (value ?? {}) as { readonly type?: unknown; readonly object?: T };
  if (type === "ERROR") {
    const code = (object as { readonly code?: unknown } | undefined)?.code;
    throw statusError(action, typeof code === "number" ? code : 500, JSON.stringify(object));
  }
  const version = object?.metadata?.resourceVersion;
  if (object === undefined || typeof version !== "string" || version === "") {
    throw connectionError(action, "the server sent something that is no event");
  }
  if (place.version !== undefined && isBefore(version, place.version)) {
    throw statusError(action, 410, `the server's versions went back, to ${version}`);
  }
  if (type === "ADDED" || type === "MODIFIED") handler.onApplied(object);
  else if (type === "DELETED") handler.onDeleted(object);
  else if (type !== "BOOKMARK") {
    throw connectionError(action, "the server sent an event of unknown type");
  }
  place.version = version;
}

/** Versions are decimal numbers without leading zeros; of whatever else they were, nothing is said. */
function isBefore(version: string, other: string): boolean {
  if (!/^\d+$/.test(version) || !/^\d+$/.test(other)) return false;
  if (version.length !== other.length) return version.length < other.length;
  return version < other;
}
