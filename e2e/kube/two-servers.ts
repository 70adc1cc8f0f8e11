import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import { type Apiserver, startApiserver } from "@heddle/apiserver/server";
import { type Answer, TestClient } from "@heddle/apiserver/testing/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { startKubeApi } from "./api-server.ts";

/** What a server says, as far as two servers can say the same. */
export interface Said {
  readonly code: number;
  readonly body: Json;
}

export interface Ask {
  readonly body?: Json;
  /** Of the body; JSON if left out. */
  readonly type?: string;
  readonly accept?: string;
  /** The whole user agent. */
  readonly agent?: string;
  /** Who asks: impersonated on both servers by an administrator. */
  readonly headers?: Readonly<Record<string, string>>;
}

export const APPLY = "application/apply-patch+yaml";
export const MERGE = "application/merge-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";
export const JSON_PATCH = "application/json-patch+json";

/** The embedded API server and a real one, asked the same. */
export class TwoServers implements AsyncDisposable {
  readonly embedded: TestClient;
  readonly real: TestClient;
  readonly server: Apiserver;
  readonly #parts: AsyncDisposableStack;

  /** @param running - A kubeconfig of a real server that runs already; else one is started. */
  static async start(running?: string): Promise<TwoServers> {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "heddle-two-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    const server = parts.use(await startApiserver({ dataDir: join(folder, "embedded") }));
    const embedded = parts.use(
      new TestClient({ url: server.url, caPem: server.caPem, token: server.adminToken }),
    );
    const path = running ?? parts.use(await startKubeApi(folder)).kubeconfigPath;
    const real = parts.use(clientOf(path));
    return new TwoServers(server, embedded, real, parts.move());
  }

  private constructor(
    server: Apiserver,
    embedded: TestClient,
    real: TestClient,
    parts: AsyncDisposableStack,
  ) {
    this.server = server;
    this.embedded = embedded;
    this.real = real;
    this.#parts = parts;
  }

  /** Asks both, and fails unless they say the same. */
  async same(method: string, path: string, ask: Ask = {}): Promise<Said> {
    const { embedded, real } = await this.ask(method, path, ask);
    assert.deepEqual(embedded, real, `${method} ${path}: the embedded server differs`);
    return real;
  }

  /** The first events of a watch, which must be the same of both. */
  async sameEvents(path: string, count: number): Promise<void> {
    const [embedded, real] = await Promise.all(
      [this.embedded, this.real].map(async (client) => {
        using watch = await client.watch(path);
        const events: Json[] = [];
        while (events.length < count) {
          const event = await watch.next();
          if (event === undefined) break;
          events.push(plain({ ...event }));
        }
        return events;
      }),
    );
    assert.deepEqual(embedded, real, `${path}: the embedded server differs`);
  }

  async ask(
    method: string,
    path: string,
    { agent, headers = {}, ...options }: Ask = {},
  ): Promise<{ readonly embedded: Said; readonly real: Said }> {
    const all = { ...headers, ...(agent === undefined ? {} : { "user-agent": agent }) };
    const [embedded, real] = await Promise.all(
      [this.embedded, this.real].map(async (client) =>
        normal(await client.send(method, path, { ...options, headers: all })),
      ),
    );
    return { embedded: embedded!, real: real! };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

function clientOf(kubeconfig: string): TestClient {
  const { server, tls } = loadKubeconfig({ paths: [kubeconfig] });
  const certificate = { certificatePem: tls.cert ?? "", keyPem: tls.key ?? "" };
  return new TestClient({ url: server.origin, caPem: tls.ca ?? "", certificate });
}

function normal({ code, body, text }: Answer): Said {
  return { code, body: Object.keys(body).length === 0 ? text : plain(body) };
}

/** What differs from one run to the next. */
const CHANGING: readonly string[] = [
  "uid",
  "resourceVersion",
  "creationTimestamp",
  "time",
  "lastTransitionTime",
  "deletionTimestamp",
];

function plain(value: Json): Json {
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  // Nothing of a review is kept; the real server all the same says who owns its question.
  const isReview = typeof value["kind"] === "string" && value["kind"].endsWith("Review");
  for (const [key, field] of Object.entries(value)) {
    if (isReview && key === "metadata") continue;
    if (key === "fieldsV1") result[key] = field;
    else if (key === "managedFields" && Array.isArray(field))
      result[key] = byName(field.map(plain));
    else if (CHANGING.includes(key) && typeof field === "string") result[key] = `<${key}>`;
    // Go's structs write some fields that are empty, and leave out others.
    else if (!isEmpty(field, key)) result[key] = plain(field);
  }
  return result;
}

/**
 * Owners stand in the order of their times, in whole seconds, and then of their names. A second may
 * end between two requests on one of the servers alone.
 */
function byName(owners: readonly Json[]): Json[] {
  const nameOf = (owner: Json): string =>
    isObject(owner) ? `${owner["operation"]} ${owner["manager"]} ${owner["subresource"]}` : "";
  return [...owners].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Structs that Go always writes. */
const STRUCTS: readonly string[] = ["status", "conditions", "source", "acceptedNames"];

function isEmpty(value: Json, key: string): boolean {
  if (value === null || value === "") return true;
  return STRUCTS.includes(key) && isObject(value) && Object.keys(value).length === 0;
}
