import assert from "node:assert/strict";
import { test } from "node:test";
import { seededInt, seededRandom } from "@heddle/testkit/seeded-random";
import { parseAuthority, parseContextToken } from "./authority.ts";
import { DestinationIndex } from "./core.ts";
import { addressKey, type DestinationConfig, fingerprint } from "./endpoint.ts";
import type { EndpointUpdate, EndpointView } from "./endpoint-view.ts";
import { PortSet, parsePortSet } from "./port-set.ts";
import { profilePrint } from "./profile.ts";
import type {
  PodRecord,
  ServerRecord,
  ServiceRecord,
  SliceRecord,
  WorkloadRecord,
} from "./records.ts";

const CONFIG: DestinationConfig = {
  controlNamespace: "linkerd",
  clusterDomain: "cluster.local",
  trustDomain: "cluster.local",
  defaultOpaquePorts: parsePortSet("3306"),
  isH2UpgradeOn: true,
  isTransportHeaderOn: false,
  isIpv6On: true,
  hasZoneWeights: false,
};

type Random = (count: number) => number;

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

const PODS = ["p0", "p1", "p2", "p3"];
const IPS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const ZONES = ["east", "west"];

function randomPod(random: Random, name: string): PodRecord {
  return {
    type: "pod",
    namespace: "ns",
    name,
    labels: {
      app: pick(random, ["a", "b"]),
      ...(random(4) > 0 ? { "linkerd.io/control-plane-ns": "linkerd" } : {}),
    },
    ips: [pick(random, IPS)],
    hostIps: [],
    isHostNetwork: false,
    nodeName: pick(random, ["n0", "n1"]),
    isRunning: random(5) > 0,
    serviceAccount: pick(random, ["x", "y"]),
    owner: random(2) === 0 ? undefined : { kind: "ReplicaSet", name: "rs", group: "apps" },
    opaquePorts: random(4) === 0 ? parsePortSet("8080") : PortSet.EMPTY,
    skippedInboundPorts: PortSet.EMPTY,
    containerPorts: [{ name: "http", port: 8080, hostPort: undefined }],
    proxy: { inboundPort: 4143, adminPort: 4191, controlPort: 4190 },
  };
}

function randomWorkload(random: Random): WorkloadRecord {
  return {
    type: "workload",
    namespace: "ns",
    name: "vm",
    labels: { app: "a" },
    ips: [pick(random, IPS)],
    ports: [{ name: "http", port: 8080 }],
    opaquePorts: random(3) === 0 ? parsePortSet("8080") : PortSet.EMPTY,
    identity: pick(random, ["spiffe://td/a", "spiffe://td/b"]),
    serverName: "vm",
    owner: undefined,
    inboundPort: 4143,
  };
}

function randomSlice(random: Random, name: string): SliceRecord {
  const endpoints = Array.from({ length: random(4) }, () => {
    const isVm = random(5) === 0;
    const kind = isVm ? ("ExternalWorkload" as const) : ("Pod" as const);
    const isRaw = random(6) === 0;
    return {
      addresses: [pick(random, IPS)],
      isReady: random(4) > 0,
      hostname: random(2) === 0 ? "h" : undefined,
      zone: pick(random, [undefined, ...ZONES]),
      forZones: random(2) === 0 ? [pick(random, ZONES)] : [],
      target: isRaw ? undefined : { kind, key: `ns/${isVm ? "vm" : pick(random, PODS)}` },
    };
  });
  return {
    namespace: "ns",
    name,
    service: "web",
    family: random(3) === 0 ? 6 : 4,
    ports: random(6) === 0 ? undefined : [{ name: "http", port: pick(random, [8080, 3306]) }],
    endpoints,
    mirror: { cluster: undefined, remoteName: undefined, gatewayIdentity: undefined },
  };
}

function randomServer(random: Random): ServerRecord {
  const app = pick(random, ["a", "b"]);
  return {
    namespace: "ns",
    name: "s",
    isOpaque: random(3) > 0,
    selectsPod: (labels) => labels["app"] === app,
    selectsWorkload: (labels) => labels["app"] === app,
    port: pick(random, [8080, "http"]),
  };
}

function randomService(random: Random): ServiceRecord {
  return {
    namespace: "ns",
    name: "web",
    isExternalName: false,
    clusterIps: ["10.96.0.1"],
    ports: random(5) === 0 ? [] : [{ name: "http", port: 80 }],
    isTrafficLocal: random(3) === 0,
    opaquePorts: random(3) === 0 ? parsePortSet("80") : PortSet.EMPTY,
    mergesRoutes: false,
    remoteCluster: undefined,
    remoteService: undefined,
  };
}

/** One random change, as a function that can be applied to any index, replacing its kind's last. */
function randomEvent(random: Random): { key: string; apply: (index: DestinationIndex) => void } {
  const isGone = random(4) === 0;
  switch (random(8)) {
    case 0: {
      const service = randomService(random);
      return { key: "service", apply: (index) => index.setService("ns/web", service) };
    }
    case 1: {
      const name = pick(random, ["s0", "s1"]);
      const slice = isGone ? undefined : randomSlice(random, name);
      return { key: name, apply: (index) => index.setSlice(`ns/${name}`, slice) };
    }
    case 2: {
      const workload = isGone ? undefined : randomWorkload(random);
      return { key: "vm", apply: (index) => index.setWorkload("ns/vm", workload) };
    }
    case 3: {
      const server = isGone ? undefined : randomServer(random);
      return { key: "server", apply: (index) => index.setServer("ns/s", server) };
    }
    case 4: {
      const name = pick(random, ["n0", "n1"]);
      const zone = pick(random, [undefined, ...ZONES]);
      const node = isGone ? undefined : { name, zone };
      return { key: name, apply: (index) => index.setNode(name, node) };
    }
    case 5: {
      const owner = { kind: "Deployment", name: pick(random, ["d", "e"]), group: "apps" };
      const record = { kind: "ReplicaSet", namespace: "ns", name: "rs", owner } as const;
      return { key: "rs", apply: (index) => index.setMiddleOwner(record) };
    }
    default: {
      const name = pick(random, PODS);
      const pod = isGone ? undefined : randomPod(random, name);
      return { key: name, apply: (index) => index.setPod(`ns/${name}`, pod) };
    }
  }
}

/** What a client holds that has applied every update it was told of. */
class Client {
  readonly held = new Map<string, string>();
  readonly #problems: string[] = [];

  constructor(view: EndpointView) {
    if (view.snapshot !== undefined) this.#take(view.snapshot);
    view.subscribe((update) => this.#take(update));
  }

  get problems(): readonly string[] {
    return this.#problems;
  }

  #take({ add, remove }: EndpointUpdate): void {
    if (add.length === 0 && remove.length === 0) this.#problems.push("an empty update");
    for (const endpoint of add) {
      const key = addressKey(endpoint);
      const print = fingerprint(endpoint);
      if (this.held.get(key) === print) this.#problems.push(`${key} told twice`);
      this.held.set(key, print);
    }
    for (const address of remove) {
      if (!this.held.delete(addressKey(address))) this.#problems.push("removed what was not there");
    }
  }
}

const QUESTIONS = [
  ["web.ns.svc.cluster.local:80", "{}"],
  ["web.ns.svc.cluster.local:80", '{"nodeName":"n0"}'],
  ["web.ns.svc.cluster.local:80", '{"nodeName":"n1"}'],
  ["h.web.ns.svc.cluster.local:80", "{}"],
  ["web.ns.svc.cluster.local:8080", "{}"],
] as const;

function viewOf(index: DestinationIndex, path: string, token: string): EndpointView {
  return index.endpoints(parseAuthority(path)!, path, parseContextToken(token));
}

for (let seed = 1; seed <= 20; seed++) {
  test(`whatever happens, in whatever order, clients hold what is, and hear nothing twice (seed ${seed})`, () => {
    const seeded = seededRandom(seed);
    const random: Random = (count) => seededInt(seeded, count);
    const live = new DestinationIndex(CONFIG);
    const last = new Map<string, (index: DestinationIndex) => void>();
    const service = randomService(random);
    const first = (index: DestinationIndex): void => index.setService("ns/web", service);
    first(live);
    last.set("service", first);
    const clients = QUESTIONS.map(([path, token]) => new Client(viewOf(live, path, token)));
    const profiles = IPS.map((ip) => {
      const path = `${ip}:8080`;
      const view = live.profile(parseAuthority(path)!, path, parseContextToken(""));
      const told: string[] = [];
      view.subscribe({ onProfile: (profile) => told.push(profilePrint(profile)), onEnd: () => {} });
      return { view, told };
    });
    for (let step = 0; step < 200; step++) {
      const { key, apply } = randomEvent(random);
      apply(live);
      last.delete(key);
      last.set(key, apply);
      const fresh = new DestinationIndex(CONFIG);
      for (const replay of last.values()) replay(fresh);
      for (const [at, [path, token]] of QUESTIONS.entries()) {
        const client = clients[at]!;
        const expected = viewOf(fresh, path, token).endpoints.map(
          (endpoint) => [addressKey(endpoint), fingerprint(endpoint)] as const,
        );
        assert.deepEqual(client.problems, [], `step ${step}: ${key}`);
        const sorted = (entries: Iterable<readonly [string, string]>): unknown =>
          [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(sorted(client.held), sorted(expected), `step ${step}: ${key}: ${path}`);
      }
    }
    for (const { told } of profiles) {
      for (const [at, print] of told.entries()) assert.notEqual(print, told[at - 1]);
    }
  });
}
