import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { installDefinitions } from "@heddle/control/crds/install";
import { TestNamespace } from "@heddle/control/testing/objects";
import {
  AUTHORIZATION_POLICIES,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  type Server,
} from "@heddle/kube/types/linkerd";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { runInProcess } from "../testing/run.ts";

const NAMESPACE = "shop";

function meta(name: string, labels: Readonly<Record<string, string>> = {}) {
  return { metadata: { name, namespace: NAMESPACE, labels } };
}

test("authz prints what authorizes whom for a resource's pods, and nothing of other Servers", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  await installDefinitions(client);
  const space = await TestNamespace.create(client, NAMESPACE);
  const owner = await space.replicaSet("web", "web-1");
  const labels = { app: "web" };
  const ports = [{ name: "http", containerPort: 8080 }];
  await space.pod({ name: "web-1-a", ips: ["10.1.0.1"], labels, owner, ports });
  await space.pod({ name: "other", ips: ["10.1.0.2"], labels: { app: "other" } });

  const server = (name: string, app: string, port: Server["spec"]["port"], own = {}) =>
    client.create(SERVERS, {
      ...meta(name, own),
      spec: { podSelector: { matchLabels: { app } }, port },
    });
  await server("web-http", "web", "http", { tier: "front" });
  await server("web-8081", "web", 8081);
  await server("web-grpc", "web", "grpc");
  await server("other-http", "other", 80);
  const authorization = (name: string, which: object) =>
    client.create(SERVER_AUTHORIZATIONS, {
      ...meta(name),
      spec: { server: which, client: { unauthenticated: true } },
    });
  await authorization("by-name", { name: "web-8081" });
  await authorization("by-labels", { selector: { matchLabels: { tier: "front" } } });
  await authorization("of-other", { name: "other-http" });
  await client.create(POLICY_HTTP_ROUTES, {
    ...meta("get"),
    spec: {
      parentRefs: [{ group: "policy.linkerd.io", kind: "Server", name: "web-http" }],
      rules: [{ matches: [{ method: "GET" }] }],
    },
  });
  const policy = (name: string, kind: string, target: string, group = "policy.linkerd.io") =>
    client.create(AUTHORIZATION_POLICIES, {
      ...meta(name),
      spec: { targetRef: { group, kind, name: target }, requiredAuthenticationRefs: [] },
    });
  await policy("on-server", "Server", "web-http");
  await policy("on-route", "HTTPRoute", "get");
  await policy("on-namespace", "Namespace", NAMESPACE, "core");
  await policy("on-other", "Server", "other-http");

  const kubeconfig = join(store.folder, "admin.kubeconfig");
  const run = (...args: readonly string[]) =>
    runInProcess(["authz", "--kubeconfig", kubeconfig, "-n", NAMESPACE, ...args]);
  const rows = [
    "ROUTE  SERVER    AUTHORIZATION_POLICY  SERVER_AUTHORIZATION  ",
    "*      web-8081                        by-name               ",
    "*      web-8081  on-namespace                                ",
    "*      web-http                        by-labels             ",
    "*      web-http  on-namespace                                ",
    "*      web-http  on-server                                   ",
    "get    web-http  on-route                                    ",
  ];
  for (const resource of [["deploy/web"], ["rs", "web-1"], ["po/web-1-a"]]) {
    const { code, out, err } = await run(...resource);
    assert.deepEqual([code, err], [0, ""]);
    assert.deepEqual(out.split("\n"), rows);
  }
  const gone = await run("deploy/none");
  assert.deepEqual([gone.code, gone.out], [1, ""]);
  assert.match(gone.err, /deployments shop\/none: 404/);
  await space.pod({ name: "alone", ips: ["10.1.0.3"], labels: { app: "alone" } });
  const alone = await run("po/alone");
  assert.equal(alone.out, "ROUTE  SERVER  AUTHORIZATION_POLICY  SERVER_AUTHORIZATION  ");
});

test("authz takes one resource that has pods", async () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /name a resource, such as deploy\/web/],
    [["deploy/a", "deploy/b"], /name one resource, not 2/],
    [["deploy/"], /"deploy\/" is no resource; write TYPE\/NAME/],
    [["cow/a"], /there is no kind "cow"/],
  ];
  for (const [args, reason] of refused) {
    const { code, err } = await runInProcess(["authz", ...args], { HOME: "/nonexistent" });
    assert.equal(code, 2, args.join(" "));
    assert.match(err, reason);
  }
});
