import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { KubeClient } from "./client.ts";
import { hasReason } from "./errors.ts";
import { answer, configMap, failure, type Scripted, ScriptedApi } from "./testing/scripted-api.ts";
import { CONFIG_MAPS, NODES } from "./types/core.ts";

async function withApi(
  steps: readonly Scripted[],
  body: (client: KubeClient, api: ScriptedApi) => Promise<void>,
): Promise<void> {
  await using api = await ScriptedApi.start(...steps);
  const client = api.client;
  try {
    await body(client, api);
  } finally {
    client.close();
  }
}

const OK = answer(200, configMap("a", "1"));
const A = { name: "a", namespace: "ns" };

test("every verb goes to the right path with the right body", async () => {
  await withApi([OK, OK, OK, OK, OK, OK, OK, OK], async (client, api) => {
    const object = { metadata: { ...A, labels: { x: "y" } } };
    await client.get(CONFIG_MAPS, A);
    await client.get(NODES, { name: "n/1", namespace: "ignored" });
    await client.create(CONFIG_MAPS, object, { fieldManager: "heddle" });
    await client.update(CONFIG_MAPS, object, { subresource: "status" });
    const operations = [{ op: "add", path: "/data", value: {} }] as const;
    await client.patch(CONFIG_MAPS, A, { type: "json", operations });
    await client.patch(CONFIG_MAPS, A, { type: "merge", body: { data: null } });
    await client.apply(CONFIG_MAPS, object, { fieldManager: "heddle", force: true });
    await client.delete(CONFIG_MAPS, A, { preconditions: { uid: "u" } });
    const sent = api.requests.map(({ method, url, headers, body }) => [
      `${method} ${url.pathname}${url.search}`,
      headers["content-type"],
      body === "" ? undefined : JSON.parse(body),
    ]);
    const json = "application/json";
    const path = "/api/v1/namespaces/ns/configmaps";
    const full = { ...object, apiVersion: "v1", kind: "ConfigMap" };
    assert.deepEqual(sent, [
      [`GET ${path}/a`, undefined, undefined],
      ["GET /api/v1/nodes/n%2F1", undefined, undefined],
      [`POST ${path}?fieldManager=heddle`, json, full],
      [`PUT ${path}/a/status`, json, full],
      [`PATCH ${path}/a`, "application/json-patch+json", operations],
      [`PATCH ${path}/a`, "application/merge-patch+json", { data: null }],
      [`PATCH ${path}/a?fieldManager=heddle&force=true`, "application/apply-patch+yaml", full],
      [
        `DELETE ${path}/a`,
        json,
        { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: "u" } },
      ],
    ]);
  });
});

test("failures carry the Status' reason and message", async () => {
  await withApi([failure(409, "Conflict", "object has been modified")], async (client) => {
    await assert.rejects(client.get(CONFIG_MAPS, A), (error: MeshError) => {
      assert.equal(error.code, "kube_conflict");
      assert.equal(error.side, "control");
      assert.equal(error.retryable, false);
      const expected = "Cannot get configmaps ns/a: 409 Conflict: object has been modified";
      assert.equal(error.message, expected);
      return true;
    });
  });
});

test("a failure without a Status is told by its HTTP status", async () => {
  const html: Scripted = (_request, response) => response.writeHead(502).end("<h1>Bad</h1>");
  await withApi([html, failure(404, "NotFound"), failure(404, "NotFound")], async (client) => {
    await assert.rejects(
      client.get(CONFIG_MAPS, A),
      (error: MeshError) => error.code === "kube_internal_error" && error.retryable,
    );
    assert.equal(await client.find(CONFIG_MAPS, A), undefined);
    assert.equal(await client.delete(CONFIG_MAPS, A), false);
  });
});

test("a broken connection is an error worth a retry", async () => {
  const half: Scripted = (_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write('{"metadata":', () => response.destroy());
  };
  await withApi([half], async (client) => {
    await assert.rejects(
      client.get(CONFIG_MAPS, A),
      (error: MeshError) => error.code === "kube_unreachable" && error.retryable,
    );
  });
});

test("a server that does not answer is given up after the timeout", async () => {
  await using api = await ScriptedApi.start(() => {});
  const { cluster } = api.client;
  const client = new KubeClient({ cluster, requestTimeoutMs: 20 });
  await assert.rejects(
    client.get(CONFIG_MAPS, A),
    (error: MeshError) => error.code === "kube_unreachable" && /within 20 ms/.test(error.message),
  );
  client.close();
});

test("an aborted call rejects with the signal's reason", async () => {
  await withApi([() => {}], async (client, api) => {
    const stop = new AbortController();
    const call = client.get(CONFIG_MAPS, A, { signal: stop.signal });
    await api.seen(1);
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(call, (error) => error === reason);
  });
});

test("a refused token is fetched once more", async () => {
  await using api = await ScriptedApi.start(failure(401, "Unauthorized"), OK);
  let token = "old";
  const credentials = {
    current: async () => ({ authorization: `Bearer ${token}` }),
    refused: () => {
      token = "new";
    },
  };
  const client = new KubeClient({ cluster: { ...api.client.cluster, credentials } });
  await client.get(CONFIG_MAPS, A);
  client.close();
  assert.deepEqual(
    api.requests.map(({ headers }) => headers.authorization),
    ["Bearer old", "Bearer new"],
  );
});

test("every request says for whom it is made, with each group in a header of its own", async () => {
  await using api = await ScriptedApi.start(OK);
  const impersonate = { user: "jo", groups: ["cooks", "waiters"] };
  const client = new KubeClient({ cluster: { ...api.client.cluster, impersonate } });
  await client.get(CONFIG_MAPS, A);
  client.close();
  const { headers } = api.requests[0]!;
  assert.equal(headers["impersonate-user"], "jo");
  assert.equal(headers["impersonate-group"], "cooks, waiters");
});

test("hasReason() knows reasons of errors of ours only", () => {
  assert.equal(hasReason(new Error("NotFound"), "NotFound"), false);
  assert.equal(hasReason(new MeshError("kube_not_found", "control", "x"), "NotFound"), true);
});
