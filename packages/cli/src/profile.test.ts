import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { installDefinitions } from "@heddle/control/crds/install";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import { SERVICE_PROFILES, type ServiceProfile } from "@heddle/kube/types/linkerd";
import { ApiStore } from "@heddle/testkit/api-store";
import { parse } from "yaml";
import { type CliRun, runInProcess } from "./testing/run.ts";

/** Makes a profile of one text, without a cluster. */
async function profileOf(
  source: string,
  text: string,
  ...more: readonly string[]
): Promise<CliRun> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-profile-"));
  try {
    const path = join(folder, "in");
    await writeFile(path, text);
    const args = ["profile", "--ignore-cluster", `--${source}`, path, "-n", "shop", ...more, "web"];
    return await runInProcess(args, { HOME: folder });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function routesOf(source: string, text: string): Promise<unknown> {
  const { code, out, err } = await profileOf(source, text);
  assert.equal(code, 0, err);
  return (parse(out) as ServiceProfile).spec?.routes;
}

const OPENAPI = `swagger: "2.0"
info: { title: shop, version: "1" }
basePath: /api/
paths:
  /orders/{id}/items.json:
    put:
      x-linkerd-retryable: true
      x-linkerd-timeout: 60s
      responses: { "201": {}, default: {} }
    get:
      responses: { "503": {}, "200": {}, "404": {} }
  /books+:
    parameters: []
    delete: { responses: {} }
`;

/** What the reference says of the document above, written by hand. */
const ROUTES = [
  {
    name: "DELETE /api/books+",
    condition: { method: "DELETE", pathRegex: "/api/books\\+" },
  },
  {
    name: "GET /api/orders/{id}/items.json",
    condition: { method: "GET", pathRegex: "/api/orders/[^/]*/items\\.json" },
    responseClasses: [
      { condition: { status: { min: 200, max: 200 } } },
      { condition: { status: { min: 404, max: 404 } } },
      { condition: { status: { min: 503, max: 503 } }, isFailure: true },
    ],
  },
  {
    name: "PUT /api/orders/{id}/items.json",
    condition: { method: "PUT", pathRegex: "/api/orders/[^/]*/items\\.json" },
    responseClasses: [{ condition: { status: { min: 201, max: 201 } } }],
    isRetryable: true,
    timeout: "60s",
  },
];

test("[SP11] OpenAPI becomes routes, sorted by path and method, as YAML and as JSON", async () => {
  const { code, out } = await profileOf("open-api", OPENAPI);
  assert.equal(code, 0);
  assert.deepEqual(parse(out), {
    apiVersion: "linkerd.io/v1alpha2",
    kind: "ServiceProfile",
    metadata: { name: "web.shop.svc.cluster.local", namespace: "shop" },
    spec: { routes: ROUTES },
  });
  const asJson = JSON.stringify(parse(OPENAPI));
  const json = await profileOf("open-api", asJson, "-o", "json");
  assert.deepEqual(JSON.parse(json.out), parse(out));
});

test("[SP11] a document without a base path, of version 3, or with all methods becomes routes too", async () => {
  const item = Object.fromEntries(
    ["put", "post", "patch", "options", "head", "get", "delete", "trace"].map((name) => [name, {}]),
  );
  const names = (
    (await routesOf("open-api", JSON.stringify({ paths: { "/": item } }))) as {
      readonly name: string;
    }[]
  ).map(({ name }) => name);
  const methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
  assert.deepEqual(
    names,
    methods.map((method) => `${method} /`),
  );
  const third = {
    openapi: "3.1.0",
    servers: [{ url: "https://shop.example/v1" }],
    paths: { "/x": { get: {} } },
  };
  assert.deepEqual(await routesOf("open-api", JSON.stringify(third)), [
    { name: "GET /v1/x", condition: { method: "GET", pathRegex: "/v1/x" } },
  ]);
});

const PROTO = `// A comment with { braces; and "quotes
syntax = "proto3";
package shop.v1;
import "google/protobuf/empty.proto";
option go_package = "example/{x};shop";

message Item { string name = 1; /* { */ message Inner { map<string, int32> at = 1; } }
enum Kind { UNKNOWN = 0; }
extend google.protobuf.MethodOptions { string note = 50001; }

service Orders {
  option deprecated = true;
  rpc Place(stream .shop.v1.Item) returns (Item);
  rpc Look (Item) returns (stream Item) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(Item) returns (Item) {
    option (google.api.http) = { put: "/v1/{name}" body: "*" };
    option idempotency_level = IDEMPOTENT;
  };
  rpc Other(Item) returns (Item) { option idempotency_level = IDEMPOTENCY_UNKNOWN; }
}
service Empty {}
`;

function rpc(path: string, isRetryable: boolean): unknown {
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    condition: { method: "POST", pathRegex: path.replaceAll(".", "\\.") },
    ...(isRetryable ? { isRetryable } : {}),
  };
}

test("[SP12] each rpc becomes a route; those that may be made twice are retryable", async () => {
  assert.deepEqual(await routesOf("proto", PROTO), [
    rpc("/shop.v1.Orders/Place", false),
    rpc("/shop.v1.Orders/Look", true),
    rpc("/shop.v1.Orders/Put", true),
    rpc("/shop.v1.Orders/Other", false),
  ]);
  const bare = "service S { rpc M(A) returns (B); }";
  assert.deepEqual(await routesOf("proto", bare), [rpc("/S/M", false)]);
});

for (const [text, reason] of [
  ["service S {\n rpc M(A returns (B);\n}", /line \d: /],
  ["service S {\n rpc M(A) gives (B); }", /line 2: "gives" where returns should be/],
  ["service S {\n rpc M(A) returns (B) [", /line 2: "\[" where \{ or ; should be/],
  ["message A {\n", /line 1: the file ends too early/],
  ["}", /line 1: a brace closes nothing/],
] as const) {
  test(`[SP12] a broken .proto is refused with its line: ${JSON.stringify(text)}`, async () => {
    const { code, out, err } = await profileOf("proto", text);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, reason);
  });
}

for (const [text, reason] of [
  ["[]", /the document is no map/],
  ["a: 1", /has no paths/],
  ["paths: { /x: 1 }", /paths\.\/x is no map/],
  ["paths: { /x: { get: { x-linkerd-timeout: soon } } }", /paths\.\/x\.get\.x-linkerd-timeout/],
  ["paths: {", /Cannot read .* as OpenAPI/],
] as const) {
  test(`[SP11] what is no OpenAPI is refused: ${text}`, async () => {
    const { code, out, err } = await profileOf("open-api", text);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, reason);
  });
}

test("[HC40] profile takes exactly one source, good names and a known form", async () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [["web"], /exactly one of --template, --open-api and --proto/],
    [["--template", "--proto", "x", "web"], /exactly one of/],
    [["--template"], /name one service/],
    [["--template", "a", "b"], /name one service/],
    [["--template", "1web"], /"1web" is no service's name/],
    [["--template", "web_1"], /"web_1" is no service's name/],
    [["--template", "-n", "a.b", "web"], /"a\.b" is no namespace's name/],
    [["--template", "-o", "xml", "web"], /-o takes yaml or json, not "xml"/],
    [["--tap", "deploy/web", "web"], /--tap is not there yet/],
  ];
  for (const [args, reason] of refused) {
    const { code, out, err } = await runInProcess(["profile", "--ignore-cluster", ...args], {
      HOME: "/nonexistent",
    });
    assert.deepEqual([code, out], [2, ""], args.join(" "));
    assert.match(err, reason);
  }
  const { code, err } = await runInProcess(["profile", "--template", "web"], {
    HOME: "/nonexistent",
  });
  assert.equal(code, 1);
  assert.match(err, /--ignore-cluster takes cluster\.local/);
});

test("[HC40] the template and what is made are taken by the API, with the cluster's own domain", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  await installDefinitions(store.client);
  for (const name of ["mesh", "shop"]) {
    await store.client.create(NAMESPACES, { metadata: { name } });
  }
  await store.client.create(CONFIG_MAPS, {
    metadata: { namespace: "mesh", name: "linkerd-config" },
    data: { values: "clusterDomain: east.example\n" },
  });
  const args = ["profile", "--kubeconfig", kubeconfig, "--template", "-n", "shop", "web"];
  const { code, out, err } = await runInProcess(args, { LINKERD_NAMESPACE: "mesh" });
  assert.equal(code, 0, err);
  const made = parse(out) as ServiceProfile;
  assert.equal(made.metadata.name, "web.shop.svc.east.example");
  assert.equal(made.spec?.routes?.length, 2);
  assert.deepEqual(made.spec?.retryBudget, {
    retryRatio: 0.2,
    minRetriesPerSecond: 10,
    ttl: "10s",
  });
  const taken = await store.client.create(SERVICE_PROFILES, made);
  assert.deepEqual(taken.spec, made.spec);
});
