import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { JsonObject } from "@heddle/apiserver/json/value";
import { StatusError } from "@heddle/apiserver/status-error";
import type { Entry } from "./entry.ts";
import { type Place, Store, type StoreOptions } from "./store.ts";

interface Opened extends AsyncDisposable {
  readonly store: Store;
  readonly path: string;
}

async function open(options: Partial<StoreOptions> = {}): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-store-"));
  const path = join(folder, "store.sqlite");
  const store = await Store.open({ path, ...options });
  return {
    store,
    path,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function place(name: string): Place {
  return { resource: "/things", namespace: "ns", name };
}

function object(name: string, size = 0): JsonObject {
  return { metadata: { name }, text: "x".repeat(size) };
}

function set(store: Store, name: string, size = 0): Promise<Entry> {
  return store.commit((tx) => tx.set(place(name), object(name, size)));
}

test("Store.commit() shows a write to later changes at once, to readers when it is durable", async () => {
  await using opened = await open();
  const { store } = opened;
  const first = set(store, "a");
  assert.equal(store.get(place("a")), undefined);
  const seen = store.commit((tx) => tx.get(place("a"))?.name);
  await first;
  assert.equal(store.get(place("a"))?.name, "a");
  assert.equal(await seen, "a");
});

test("Store.commit() changes nothing if the change throws half-way", async () => {
  await using opened = await open();
  const { store } = opened;
  const failed = store.commit((tx) => {
    tx.set(place("a"), object("a"));
    throw new Error("no");
  });
  await assert.rejects(failed, /no/);
  const { rv } = await set(store, "b");
  assert.equal(rv, 1);
  assert.equal(store.get(place("a")), undefined);
});

test("Store.commit() keeps delete, create and delete of one name apart while they are pending", async () => {
  await using opened = await open();
  const { store } = opened;
  await set(store, "a");
  const seen: string[] = [];
  store.subscribe({ resource: "/things", namespace: "", onEvent: ({ type }) => seen.push(type) });
  const remove = (): Promise<unknown> => store.commit((tx) => tx.remove(place("a")));
  await Promise.all([remove(), set(store, "a"), remove()]);
  assert.equal(store.get(place("a")), undefined);
  assert.deepEqual(seen, ["DELETED", "ADDED", "DELETED"]);
});

test("Store gives back after reopening what was there, with its history", async () => {
  await using opened = await open();
  const { store, path } = opened;
  await set(store, "a");
  await set(store, "b");
  await store.commit((tx) => tx.remove(place("a")));
  await store.close();
  const again = await Store.open({ path });
  try {
    assert.equal(again.revision, 3);
    assert.deepEqual(
      [...again.scan("/things", "ns")].map(({ name }) => name),
      ["b"],
    );
    assert.deepEqual(
      [...again.since(0)].map(({ type, entry }) => `${type} ${entry.name}`),
      ["ADDED a", "ADDED b", "DELETED a"],
    );
  } finally {
    await again.close();
  }
});

test("Store deletes rows that nothing needs, and remembers over a restart what is compacted", async () => {
  await using opened = await open({ history: { maxEvents: 4, maxBytes: 1_000_000 } });
  const { store, path } = opened;
  for (let round = 0; round < 20; round++) await set(store, "a");
  await set(store, "b");
  assert.equal(store.compacted, 17);
  assert.throws(() => store.since(16), StatusError);
  await store.close();
  const again = await Store.open({ path, history: { maxEvents: 100, maxBytes: 1_000_000 } });
  try {
    assert.equal(again.revision, 21);
    assert.ok(again.compacted >= 16);
    assert.ok([...again.since(again.compacted)].length <= 5);
    assert.equal(again.get(place("a"))?.rv, 20);
  } finally {
    await again.close();
  }
});

test("Store.scanAt() shows the past", async () => {
  await using opened = await open();
  const { store } = opened;
  await set(store, "a");
  await set(store, "b");
  const { rv } = await set(store, "a", 5);
  await store.commit((tx) => tx.remove(place("b")));
  await set(store, "c");
  const then = [...store.scanAt("/things", "ns", rv)];
  assert.deepEqual(
    then.map(({ name, rv: at }) => `${name}@${at}`),
    ["a@3", "b@2"],
  );
  assert.throws(() => store.scanAt("/things", "ns", 99), StatusError);
});

test("Store refuses writes to a full disk, keeps what it has acknowledged, and recovers", async () => {
  await using opened = await open({ maxPages: 64 });
  const { store, path } = opened;
  const kept: string[] = [];
  let refused: unknown;
  for (let at = 0; refused === undefined && at < 1_000; at++) {
    try {
      await set(store, `n${at}`, 4_000);
      kept.push(`n${at}`);
    } catch (error) {
      refused = error;
    }
  }
  assert.ok(refused instanceof StatusError);
  assert.equal(refused.code, 507);
  assert.match(refused.message, /full/);
  const before = store.revision;
  await assert.rejects(set(store, "large", 40_000), StatusError);
  assert.equal(store.revision, before);
  assert.equal(store.count("/things"), kept.length);
  // Small writes, deletes among them, still find room that history gave up.
  for (const name of kept.splice(0, 20)) {
    await store.commit((tx) => tx.remove(place(name), { metadata: { name } }));
  }
  await set(store, "again", 4_000);
  await store.close();
  const reopened = await Store.open({ path });
  try {
    assert.equal(reopened.count("/things"), kept.length + 1);
    for (const name of kept) assert.ok(reopened.get(place(name)) !== undefined, name);
  } finally {
    await reopened.close();
  }
});

test("Store.open() refuses a database that another server holds", async () => {
  await using opened = await open();
  await set(opened.store, "a");
  await assert.rejects(Store.open({ path: opened.path }), /Cannot use the database/);
});
