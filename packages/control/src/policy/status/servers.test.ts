import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@heddle/kube/types/core";
import type {
  AuthorizationPolicy,
  ExternalWorkload,
  MatchedStatus,
  Server,
} from "@heddle/kube/types/linkerd";
import type { Condition, KubeObject } from "@heddle/kube/types/meta";
import type { Route } from "@heddle/kube/types/routes";
import { parseNetworks } from "@heddle/model/network";
import { object } from "../test-objects.ts";
import { StatusIndex } from "./core.ts";

const NOW = "2026-06-01T00:00:00Z";
const GROUP = "policy.linkerd.io";

class World {
  readonly index = new StatusIndex(parseNetworks("10.0.0.0/8"));

  pod(name: string, labels: object = { app: "web" }, port = 8080): void {
    const ports = [{ name: "http", containerPort: port }];
    const fields = { spec: { containers: [{ name: "c", ports }] } };
    this.index.setPod(object<Pod>(name, fields as never, { labels } as never));
  }

  server(name: string, spec: object = {}, more: Partial<KubeObject["metadata"]> = {}, status = {}) {
    const whole = { podSelector: { matchLabels: { app: "web" } }, port: 8080, ...spec };
    this.index.setServer(object<Server>(name, { spec: whole, status } as never, more));
  }

  status(kind: "server" | "authorization", name: string): MatchedStatus | undefined {
    return this.index.change({ kind, namespace: "ns", name }, NOW)?.status as MatchedStatus;
  }

  /** `Type=Status/Reason` of each. */
  words(kind: "server" | "authorization", name: string): string[] {
    return wordsOf(this.status(kind, name)?.conditions);
  }
}

function wordsOf(conditions: readonly Condition[] | undefined): string[] {
  return (conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`);
}

const ACCEPTED = "Accepted=True/Accepted";
const MATCHED = "MatchesWorkloads=True/WorkloadsFound";
const UNMATCHED = "MatchesWorkloads=False/NoMatchingWorkload";
const ALONE = "Conflicted=False/NoConflict";
const CONFLICTED = "Conflicted=True/OlderServer";
const RESOLVED = "ResolvedRefs=True/ResolvedRefs";

test("a Server's status says how many workloads it matches, as they come and go", () => {
  const world = new World();
  world.server("web", { port: "http" });
  assert.deepEqual(world.words("server", "web"), [ACCEPTED, UNMATCHED, ALONE]);
  assert.equal(world.status("server", "web")?.matchedWorkloads, 0);
  world.pod("a");
  world.pod("b");
  world.pod("c", { app: "other" });
  assert.deepEqual(world.words("server", "web"), [ACCEPTED, MATCHED, ALONE]);
  assert.equal(world.status("server", "web")?.matchedWorkloads, 2);
  world.index.deletePod("ns", "a");
  world.pod("b", { app: "other" });
  assert.equal(world.status("server", "web")?.matchedWorkloads, 0);
});

test("a Server for machines matches those, and no pod", () => {
  const world = new World();
  const externalWorkloadSelector = { matchLabels: { app: "web" } };
  world.server("vm", { podSelector: undefined, externalWorkloadSelector });
  world.pod("a");
  assert.equal(world.status("server", "vm")?.matchedWorkloads, 0);
  const spec = { meshTLS: { identity: "spiffe://td/vm", serverName: "vm" } };
  const labels = { app: "web" };
  world.index.setExternalWorkload(object<ExternalWorkload>("vm", { spec }, { labels }));
  assert.equal(world.status("server", "vm")?.matchedWorkloads, 1);
});

test("of Servers that select the same port the younger is in conflict, while the older is there", () => {
  const world = new World();
  world.pod("a");
  world.server("old", { port: "http" }, { creationTimestamp: "2026-01-01T00:00:00Z" });
  world.server("young", {}, { creationTimestamp: "2026-02-01T00:00:00Z" });
  world.server("other", { port: 9 }, { creationTimestamp: "2026-02-01T00:00:00Z" });
  assert.deepEqual(world.words("server", "old"), [ACCEPTED, MATCHED, ALONE]);
  assert.deepEqual(world.words("server", "young"), [ACCEPTED, MATCHED, CONFLICTED]);
  const message = world.status("server", "young")?.conditions?.[2]?.message;
  assert.match(message!, /^Server old is older and governs port 8080 /);
  assert.deepEqual(world.words("server", "other"), [ACCEPTED, MATCHED, ALONE]);
  world.index.takeDirty();
  world.index.deleteServer("ns", "old");
  assert.deepEqual(
    world.index.takeDirty().map(({ name }) => name),
    ["young"],
  );
  assert.deepEqual(world.words("server", "young"), [ACCEPTED, MATCHED, ALONE]);
});

test("a Server that cannot be read says why, and what others say of it stays", () => {
  const world = new World();
  const theirs = { type: "Theirs", status: "True" } as const;
  world.server("web", { proxyProtocol: "SMTP" }, { generation: 3 }, { conditions: [theirs] });
  const { conditions = [] } = world.status("server", "web")!;
  assert.deepEqual(wordsOf(conditions), [
    "Theirs=True/undefined",
    "Accepted=False/Invalid",
    UNMATCHED,
    ALONE,
  ]);
  assert.match(conditions[1]!.message!, /SMTP/);
  assert.equal(conditions[1]!.observedGeneration, 3);
});

test("a count alone can wait, a condition that turns cannot", () => {
  const world = new World();
  world.pod("a");
  world.server("web");
  const key = { kind: "server", namespace: "ns", name: "web" } as const;
  const first = world.index.change(key, NOW)!;
  assert.equal(first.isMinor, false);
  world.server("web", {}, {}, first.status);
  assert.equal(world.index.change(key, NOW), undefined);
  world.pod("b");
  assert.equal(world.index.change(key, NOW)?.isMinor, true);
  world.index.deletePod("ns", "a");
  world.index.deletePod("ns", "b");
  assert.equal(world.index.change(key, NOW)?.isMinor, false);
});

test("a pod that changes in what no Server looks at makes nothing dirty", () => {
  const world = new World();
  world.pod("a");
  world.server("web");
  world.index.takeDirty();
  world.pod("a");
  assert.deepEqual(world.index.takeDirty(), []);
  world.pod("a", { app: "web", more: "x" });
  assert.equal(world.index.takeDirty().length, 1);
});

test("an AuthorizationPolicy's status tells of its target, its authentications and its workloads", () => {
  const world = new World();
  const policy = (targetRef: object, ...requiredAuthenticationRefs: object[]): string[] => {
    const spec = { targetRef, requiredAuthenticationRefs };
    world.index.setAuthorizationPolicy(object<AuthorizationPolicy>("p", { spec } as never));
    return world.words("authorization", "p");
  };
  const server = { group: GROUP, kind: "Server", name: "web" };
  const tls = { group: GROUP, kind: "MeshTLSAuthentication", name: "tls" };
  const missing = "Accepted=False/NoMatchingTarget";
  const unresolved = "ResolvedRefs=False/AuthenticationNotFound";
  assert.deepEqual(policy(server, tls), [missing, unresolved, UNMATCHED]);
  world.server("web");
  world.index.setAuthentication("MeshTLSAuthentication", object("tls", {}));
  assert.deepEqual(policy(server, tls), [ACCEPTED, RESOLVED, UNMATCHED]);
  assert.deepEqual(policy(server, { ...tls, namespace: "x" }), [ACCEPTED, unresolved, UNMATCHED]);
  world.pod("a");
  assert.deepEqual(policy(server), [ACCEPTED, RESOLVED, MATCHED]);
  assert.deepEqual(policy({ kind: "Namespace", name: "ns" }), [ACCEPTED, RESOLVED, MATCHED]);
  assert.deepEqual(policy({ kind: "Namespace", name: "x" }), [missing, RESOLVED, UNMATCHED]);
  const route = { group: GROUP, kind: "HTTPRoute", name: "r" };
  assert.deepEqual(policy(route), [missing, RESOLVED, UNMATCHED]);
  const spec = { parentRefs: [server], rules: [{}] };
  world.index.setRoute("policy-http", object<Route<unknown>>("r", { spec }));
  assert.deepEqual(policy(route), [ACCEPTED, RESOLVED, MATCHED]);
  assert.equal(world.status("authorization", "p")?.matchedWorkloads, 1);
});

test("a route of a newer Gateway API holds, and its status says what of it does not", () => {
  const world = new World();
  const parentRefs = [{ group: GROUP, kind: "Server", name: "web" }];
  world.server("web");
  const about = (spec: object) => {
    const whole = { parentRefs, rules: [{}], ...spec };
    world.index.setRoute("gateway-http", object<Route<unknown>>("r", { spec: whole } as never));
    const key = { kind: "gateway-http", namespace: "ns", name: "r" } as const;
    const { parents } = world.index.change(key, NOW)!.status as {
      parents: { conditions: Condition[] }[];
    };
    return parents[0]!.conditions;
  };
  assert.deepEqual(wordsOf(about({})), [ACCEPTED]);
  const conditions = about({ rules: [{ retry: { codes: [500] }, timeouts: { request: "1s" } }] });
  assert.deepEqual(wordsOf(conditions), [ACCEPTED, "PartiallyInvalid=True/UnsupportedValue"]);
  assert.match(conditions[1]!.message!, /spec\.rules\[0\]\.retry$/);
  const hostile = JSON.parse('{"__proto__": {"x": 1}, "constructor": 5}');
  assert.match(about(hostile)[1]!.message!, /spec\.__proto__, spec\.constructor$/);
});
