import assert from "node:assert/strict";
import { test } from "node:test";
import { type Change, Store } from "./informer.ts";
import {
  configMap,
  event,
  events,
  failure,
  list,
  type Scripted,
  ScriptedApi,
} from "./testing/scripted-api.ts";
import { CONFIG_MAPS, type ConfigMap } from "./types/core.ts";
import { type WatchSettings, watchResource } from "./watch.ts";

/** Runs a watch against a script until `until` has been told, and gives back all that was. */
async function observe(
  steps: readonly Scripted[],
  until: (told: readonly string[]) => boolean,
  more: Partial<WatchSettings<ConfigMap>> = {},
): Promise<{ readonly told: string[]; readonly queries: string[] }> {
  await using api = await ScriptedApi.start(...steps);
  const told: string[] = [];
  const stop = new AbortController();
  const store = new Store<ConfigMap>();
  const done = Promise.withResolvers<void>();
  store.subscribe((change) => {
    told.push(describe(change));
    if (until(told)) done.resolve();
  });
  const client = api.client;
  const watching = watchResource({
    client,
    resource: CONFIG_MAPS,
    handler: store,
    signal: stop.signal,
    minBackoffMs: 1,
    maxBackoffMs: 2,
    ...more,
  });
  await done.promise;
  stop.abort();
  await watching;
  client.close();
  const queries = api.requests.map(({ url }) => {
    const isWatch = url.searchParams.get("watch") === "true";
    return isWatch ? `watch from ${url.searchParams.get("resourceVersion")}` : "list";
  });
  return { told, queries };
}

function describe({ key, before, after }: Change<ConfigMap>): string {
  const version = (one: ConfigMap | undefined): string => one?.metadata.resourceVersion ?? "-";
  return `${key} ${version(before)}>${version(after)}`;
}

const has =
  (line: string) =>
  (told: readonly string[]): boolean =>
    told.includes(line);

test("watchResource() lists, watches, and resumes from the last version it saw", async () => {
  const { told, queries } = await observe(
    [
      list("5", configMap("a", "3")),
      events("end", event("ADDED", configMap("b", "6")), event("BOOKMARK", configMap("", "9"))),
      events("open", event("DELETED", configMap("a", "10"))),
    ],
    has("ns/a 3>-"),
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/b ->6", "ns/a 3>-"]);
  assert.deepEqual(queries, ["list", "watch from 5", "watch from 9"]);
});

test("watchResource() drops a line that the connection's end cut off, and resumes before it", async () => {
  const cut = JSON.stringify(event("MODIFIED", configMap("a", "7"))).slice(0, -9);
  const { told, queries } = await observe(
    [
      list("5", configMap("a", "3")),
      events("break", event("MODIFIED", configMap("a", "6")), cut),
      events("open", event("MODIFIED", configMap("a", "7"))),
    ],
    has("ns/a 6>7"),
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/a 3>6", "ns/a 6>7"]);
  assert.deepEqual(queries, ["list", "watch from 5", "watch from 6"]);
});

for (const [how, gone] of [
  ["an answer of 410", failure(410, "Expired")],
  [
    "an event with 410",
    events("open", event("ERROR", { kind: "Status", code: 410, reason: "Expired" })),
  ],
] as const) {
  test(`watchResource() lists again after ${how}, and tells only the difference`, async () => {
    const { told, queries } = await observe(
      [
        list("5", configMap("a", "3"), configMap("b", "4"), configMap("c", "5")),
        gone,
        list("20", configMap("a", "3"), configMap("b", "15")),
        events("open", event("ADDED", configMap("d", "21"))),
      ],
      has("ns/d ->21"),
    );
    const first = ["ns/a ->3", "ns/b ->4", "ns/c ->5"];
    assert.deepEqual(told, [...first, "ns/b 4>15", "ns/c 5>-", "ns/d ->21"]);
    assert.deepEqual(queries, ["list", "watch from 5", "list", "watch from 20"]);
  });
}

for (const [how, back] of [
  [
    "a version that the server does not know",
    (_request, response): void => {
      const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large" }];
      const status = { kind: "Status", code: 504, reason: "Timeout", details: { causes } };
      response.writeHead(504).end(JSON.stringify(status));
    },
  ],
  ["a bookmark before our place", events("open", event("BOOKMARK", configMap("", "99")))],
  ["an event before our place", events("open", event("MODIFIED", configMap("b", "99")))],
] as const satisfies readonly (readonly [string, Scripted])[]) {
  test(`watchResource() lists again after ${how}: a backup was restored`, async () => {
    const { told, queries } = await observe(
      [
        list("100", configMap("a", "80"), configMap("b", "95"), configMap("c", "100")),
        back,
        list("91", configMap("a", "80"), configMap("b", "90")),
        events("open", event("ADDED", configMap("d", "92"))),
      ],
      has("ns/d ->92"),
    );
    const first = ["ns/a ->80", "ns/b ->95", "ns/c ->100"];
    assert.deepEqual(told, [...first, "ns/b 95>90", "ns/c 100>-", "ns/d ->92"]);
    assert.deepEqual(queries, ["list", "watch from 100", "list", "watch from 91"]);
  });
}

test("a list that repeats what is known tells nobody", async () => {
  const { told } = await observe(
    [
      list("3", configMap("a", "3")),
      failure(410, "Expired"),
      list("3", configMap("a", "3")),
      events("open", event("MODIFIED", configMap("a", "3")), event("ADDED", configMap("b", "7"))),
    ],
    has("ns/b ->7"),
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/b ->7"]);
});

test("an object that was deleted and made anew is two changes", async () => {
  const { told } = await observe(
    [list("5", configMap("a", "3")), failure(410, "Gone"), list("9", configMap("a", "8", "other"))],
    has("ns/a ->8"),
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/a 3>-", "ns/a ->8"]);
});

test("watchResource() outlives a server that flaps", async () => {
  const broken: Scripted = (_request, response) => response.destroy();
  const garbage: Scripted = (_request, response) => response.writeHead(200).end("<html>\n");
  const { told, queries } = await observe(
    [
      broken,
      failure(503, "ServiceUnavailable"),
      garbage,
      list("5", configMap("a", "3")),
      failure(429, "TooManyRequests"),
      events("open", "this is not JSON\n"),
      events("open", event("STRANGE", configMap("a", "6"))),
      events("open", { type: "ADDED" }),
      events("end", event("ERROR", { kind: "Status", code: 500, reason: "InternalError" })),
      events("open", event("ADDED", configMap("b", "6"))),
    ],
    has("ns/b ->6"),
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/b ->6"]);
  assert.deepEqual(queries.slice(0, 4), ["list", "list", "list", "list"]);
  assert.ok(
    queries.slice(4).every((query) => query === "watch from 5"),
    queries.join(", "),
  );
});

test("a kind that the server does not know counts as empty if that is allowed", async () => {
  await using api = await ScriptedApi.start(
    failure(404, "NotFound"),
    list("2", configMap("a", "1")),
    events("open"),
  );
  const store = new Store<ConfigMap>();
  const stop = new AbortController();
  const appeared = Promise.withResolvers<void>();
  const client = api.client;
  const watching = watchResource({
    client,
    resource: CONFIG_MAPS,
    handler: store,
    signal: stop.signal,
    isOptional: true,
    absentRetryMs: 1,
    minBackoffMs: 1,
    maxBackoffMs: 1,
  });
  await store.synced;
  assert.equal(store.size, 0);
  store.subscribe(() => appeared.resolve());
  await appeared.promise;
  assert.deepEqual(
    [...store.values()].map(({ metadata }) => metadata.name),
    ["a"],
  );
  stop.abort();
  await watching;
  client.close();
});

test("a list comes in pages, and starts again when its continue token has expired", async () => {
  await using api = await ScriptedApi.start(
    (_request, response) => {
      const metadata = { resourceVersion: "1", continue: "next" };
      response.end(JSON.stringify({ metadata, items: [configMap("old", "1")] }));
    },
    failure(410, "Expired"),
    (_request, response) => {
      const metadata = { resourceVersion: "2", continue: "more" };
      response.end(JSON.stringify({ metadata, items: [configMap("a", "1")] }));
    },
    list("2", configMap("b", "2")),
  );
  const client = api.client;
  const all = await client.list(CONFIG_MAPS, { namespace: "ns" });
  client.close();
  assert.deepEqual(
    all.items.map(({ metadata }) => metadata.name),
    ["a", "b"],
  );
  assert.equal(all.metadata.resourceVersion, "2");
  assert.equal(api.requests[3]!.url.searchParams.get("continue"), "more");
});

test("watchResource() that finds its watch's version gone lists in the next one, and loses nothing", async () => {
  const versions: string[] = [];
  const { told, queries } = await observe(
    [
      list("5", configMap("a", "3")),
      failure(404, "NotFound"),
      failure(404, "NotFound"),
      list("5", configMap("a", "3")),
      events("open", event("ADDED", configMap("b", "6"))),
    ],
    has("ns/b ->6"),
    {
      isOptional: true,
      otherVersions: [{ ...CONFIG_MAPS, version: "v0" }],
      onVersion: ({ version }) => versions.push(version),
    },
  );
  assert.deepEqual(told, ["ns/a ->3", "ns/b ->6"]);
  assert.deepEqual(queries, ["list", "watch from 5", "list", "list", "watch from 5"]);
  assert.deepEqual(versions, ["v1", "v0"]);
});
