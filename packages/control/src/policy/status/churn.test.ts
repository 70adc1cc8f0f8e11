import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, Service } from "@heddle/kube/types/core";
import type {
  AuthorizationPolicy,
  EgressNetwork,
  HttpLocalRateLimitPolicy,
  Server,
} from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import type { Route } from "@heddle/kube/types/routes";
import { parseNetworks } from "@heddle/model/network";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { StatusIndex } from "./core.ts";
import { parseKey, textOfKey } from "./keys.ts";

const NOW = "2026-06-01T00:00:00Z";
const GROUP = "policy.linkerd.io";
/** More rounds than this mean that two statuses wait for each other, or fight. */
const MAX_ROUNDS = 4;

type Random = (count: number) => number;
type Stored = KubeObject & { readonly status?: object };

/** What is stored, and an index that is told of it as a watch would. */
class Cluster {
  readonly stored = new Map<string, Stored>();
  index = newIndex();
  writes = 0;

  put(key: string, object: Stored): void {
    const status = this.stored.get(key)?.status;
    const kept = status === undefined ? object : { ...object, status };
    this.stored.set(key, kept);
    tell(this.index, key, kept);
  }

  delete(key: string): void {
    if (this.stored.delete(key)) untell(this.index, key);
  }

  /** Writes what is dirty until nothing is, as a controller does that misses no event. */
  settle(): void {
    for (let round = 0; ; round++) {
      const changes = this.index.takeDirty().flatMap((key) => {
        const change = this.index.change(key, NOW);
        return change === undefined || change.isMinor ? [] : [{ key, change }];
      });
      if (changes.length === 0) return;
      assert.ok(round < MAX_ROUNDS, `still wrong: ${changes.map(({ key }) => textOfKey(key))}`);
      for (const { key, change } of changes) {
        const text = textOfKey(key);
        const object = { ...this.stored.get(text)!, status: change.status };
        this.stored.set(text, object);
        this.writes++;
        tell(this.index, text, object);
      }
    }
  }
}

function newIndex(): StatusIndex {
  return new StatusIndex(parseNetworks("10.0.0.0/8"));
}

function tell(index: StatusIndex, text: string, object: Stored): void {
  const { kind } = parseKey(text) as { kind: string };
  if (kind === "pod") index.setPod(object as Pod);
  else if (kind === "service") index.setService(object as Service);
  else if (kind === "tls-authentication") index.setAuthentication("MeshTLSAuthentication", object);
  else if (kind === "server") index.setServer(object as Server);
  else if (kind === "egress") index.setEgressNetwork(object as EgressNetwork);
  else if (kind === "rate-limit") index.setRateLimitPolicy(object as HttpLocalRateLimitPolicy);
  else if (kind === "authorization") index.setAuthorizationPolicy(object as AuthorizationPolicy);
  else index.setRoute(kind as "grpc", object as Route<unknown>);
}

function untell(index: StatusIndex, text: string): void {
  const { kind, namespace, name } = parseKey(text) as Record<"kind" | "namespace" | "name", string>;
  if (kind === "pod") index.deletePod(namespace, name);
  else if (kind === "service") index.deleteService(namespace, name);
  else if (kind === "tls-authentication") {
    index.deleteAuthentication("MeshTLSAuthentication", namespace, name);
  } else if (kind === "server") index.deleteServer(namespace, name);
  else if (kind === "egress") index.deleteEgressNetwork(namespace, name);
  else if (kind === "rate-limit") index.deleteRateLimitPolicy(namespace, name);
  else if (kind === "authorization") index.deleteAuthorizationPolicy(namespace, name);
  else index.deleteRoute(kind as "grpc", namespace, name);
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

const NAMES = ["a", "b", "c"];
const ROUTES = ["policy-http", "gateway-http", "grpc", "tls", "tcp"];
const OTHERS = ["pod", "service", "server", "egress", "rate-limit", "authorization"];
const KINDS = [...ROUTES, ...OTHERS, ...OTHERS, "tls-authentication"];

function anyRef(random: Random): object {
  const name = pick(random, NAMES);
  const namespace = pick(random, [undefined, "ns", "other"]);
  const place = namespace === undefined ? { name } : { name, namespace };
  const port = random(2) === 0 ? {} : { port: 80 };
  const kinds = [
    { group: GROUP, kind: "Server" },
    { group: "core", kind: "Service", ...port },
    { group: GROUP, kind: "EgressNetwork", port: 80 },
    { group: "gateway.networking.k8s.io", kind: "Gateway" },
  ];
  return { ...pick(random, kinds), ...place };
}

function anySpec(random: Random, kind: string): object {
  const selector = pick(random, [{}, { matchLabels: { app: "x" } }, { matchLabels: { app: "y" } }]);
  const server = { group: GROUP, kind: "Server", name: pick(random, NAMES) };
  const tls = { group: GROUP, kind: "MeshTLSAuthentication", name: pick(random, NAMES) };
  const route = { group: GROUP, kind: "HTTPRoute", name: pick(random, NAMES) };
  switch (kind) {
    case "pod": {
      const ports = [{ name: "http", containerPort: pick(random, [80, 81]) }];
      return { containers: [{ name: "c", ports }] };
    }
    case "service":
      return { clusterIP: pick(random, ["10.0.0.1", "None"]), ports: [{ port: 80 }] };
    case "server":
      return { podSelector: selector, port: pick<unknown>(random, [80, 81, "http", 0]) };
    case "egress": {
      const cidr = pick(random, ["1.0.0.0/8", "10.0.0.0/8"]);
      return { trafficPolicy: "Allow", networks: [{ cidr }] };
    }
    case "rate-limit":
      return { targetRef: server };
    case "authorization": {
      const targets = [server, route, { kind: "Namespace", name: "ns" }];
      return { targetRef: pick(random, targets), requiredAuthenticationRefs: [tls] };
    }
    default: {
      const refs = (): object[] => Array.from({ length: random(3) }, () => anyRef(random));
      return { parentRefs: refs(), rules: [{ backendRefs: refs() }] };
    }
  }
}

function step(random: Random, cluster: Cluster): void {
  const kind = pick(random, KINDS);
  const [namespace, name] = [pick(random, ["ns", "other"]), pick(random, NAMES)];
  const key = `${kind}/${namespace}/${name}`;
  if (random(3) === 0) {
    cluster.delete(key);
    return;
  }
  const creationTimestamp = `2026-01-0${1 + random(3)}T00:00:00Z`;
  const labels = { app: pick(random, ["x", "y"]) };
  const metadata = { name, namespace, creationTimestamp, labels, generation: 1 };
  cluster.put(key, { metadata, spec: anySpec(random, kind) } as Stored);
}

test("statuses settle after every event, whatever it was, and rest on nothing that is past", () => {
  const real = seededRandom(20_261_127);
  const random: Random = (count) => seededInt(real, count);
  for (let world = 0; world < 40; world++) {
    const cluster = new Cluster();
    for (let event = 0; event < 150; event++) {
      step(random, cluster);
      cluster.settle();
      // Nothing that was not dirty is wrong.
      const wrong = [...cluster.index.pending()].filter(
        (key) => !cluster.index.change(key, NOW)!.isMinor,
      );
      assert.deepEqual(wrong, []);
    }
    const fresh = newIndex();
    for (const [key, object] of cluster.stored) tell(fresh, key, object);
    for (const key of fresh.keys()) {
      const change = fresh.change(key, NOW);
      assert.ok(change === undefined || change.isMinor, textOfKey(key));
    }
    const { writes } = cluster;
    for (const [key, object] of cluster.stored) tell(cluster.index, key, object);
    cluster.settle();
    assert.equal(cluster.writes, writes, "the same objects once more make no write");
  }
});

test("ten thousand routes on one Service cost one look each, and one event one look", () => {
  const index = newIndex();
  const metadata = { name: "s", namespace: "ns" };
  index.setService({ metadata, spec: { clusterIP: "10.0.0.1" } } as Service);
  const parentRefs = [{ group: "core", kind: "Service", name: "s", port: 80 }];
  let looks = 0;
  for (let at = 0; at < 10_000; at++) {
    const spec = { parentRefs, rules: [{}] };
    const route = { metadata: { name: `r${at}`, namespace: "ns" }, spec };
    index.setRoute("gateway-http", route);
    looks += index.takeDirty().length;
  }
  // The first of them turns the claim on the Service, and is itself new.
  assert.equal(looks, 10_000);
  index.setService({ metadata, spec: { clusterIP: "10.0.0.1" } } as Service);
  assert.equal(index.takeDirty().length, 0);
  index.deleteService("ns", "s");
  assert.equal(index.takeDirty().length, 10_000);
});
