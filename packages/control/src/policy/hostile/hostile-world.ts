import assert from "node:assert/strict";
import type { KubeObject } from "@heddle/kube/types/meta";
import { NetworkMatch, parseNetworks } from "@heddle/model/network";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import { Cells } from "../cells.ts";
import { InboundIndex } from "../inbound/core.ts";
import { encodeServer } from "../inbound/encode.ts";
import { OutboundIndex } from "../outbound/core.ts";
import { encodePolicy } from "../outbound/encode.ts";
import { parsePortSet } from "../port-set.ts";
import { GATEWAY_GROUP, POLICY_GROUP } from "../refs.ts";
import { StatusIndex } from "../status/core.ts";

const NOW = "2026-06-01T00:00:00Z";
const CLUSTER = parseNetworks("10.0.0.0/8");
/** Whose answers must not change. */
export const GOOD = "good";

/** For tests: all indexes of the policy controller, fed as its watches feed them. */
export class HostileWorld {
  readonly cells: Cells<EncodedMessage> = new Cells(
    () => {},
    (error) => {
      throw error;
    },
  );
  readonly unreadable: string[] = [];
  readonly inbound: InboundIndex;
  readonly outbound: OutboundIndex;
  readonly status: StatusIndex = new StatusIndex(CLUSTER);

  constructor() {
    const events = {
      touched: (fact: string) => this.cells.touch(fact),
      unreadable: (kind: string, ref: string, problem: string) => {
        this.unreadable.push(`${kind} ${ref}: ${problem}`);
      },
    };
    const blocks = CLUSTER.map((network) => new NetworkMatch(network));
    this.inbound = new InboundIndex(
      {
        controlNamespace: "linkerd",
        identityDomain: "cluster.local",
        clusterNetworks: blocks,
        probeNetworks: blocks,
        defaultPolicy: "deny",
      },
      events,
    );
    this.outbound = new OutboundIndex(
      {
        clusterDomain: "cluster.local",
        clusterNetworks: CLUSTER,
        defaultOpaquePorts: parsePortSet("3306"),
        globalEgressNamespace: "linkerd-egress",
        allowL5dRequestHeaders: false,
      },
      events,
    );
  }

  /** @param kind - `GROUP/Kind`; the core group has none. */
  set(kind: string, object: KubeObject): void {
    for (const { set } of this.#takers(kind)) set(object as never);
  }

  delete(kind: string, namespace: string, name: string): void {
    for (const taker of this.#takers(kind)) taker.delete(namespace, name);
  }

  /** Who is told of a kind, each on its own as by the feed. */
  #takers(kind: string): readonly Taker[] {
    const { inbound: i, outbound: o, status: s } = this;
    switch (kind) {
      case "Pod":
        return [
          taker(
            (pod) => i.setPod(pod),
            (...at) => i.deletePod(...at),
          ),
          taker(
            (pod) => s.setPod(pod),
            (...at) => s.deletePod(...at),
          ),
        ];
      case "Service":
        return [
          taker(
            (service) => o.setService(service),
            (...at) => o.deleteService(...at),
          ),
          taker(
            (service) => s.setService(service),
            (...at) => s.deleteService(...at),
          ),
        ];
      case "workload.linkerd.io/ExternalWorkload":
        return [
          taker(
            (vm) => i.setExternalWorkload(vm),
            (...at) => i.deleteExternalWorkload(...at),
          ),
          taker(
            (vm) => s.setExternalWorkload(vm),
            (...at) => s.deleteExternalWorkload(...at),
          ),
        ];
      case "policy.linkerd.io/Server":
        return [
          taker(
            (server) => i.setServer(server),
            (...at) => i.deleteServer(...at),
          ),
          taker(
            (server) => s.setServer(server),
            (...at) => s.deleteServer(...at),
          ),
        ];
      case "policy.linkerd.io/ServerAuthorization":
        return [
          taker(
            (one) => i.setServerAuthorization(one),
            (...at) => i.deleteServerAuthorization(...at),
          ),
        ];
      case "policy.linkerd.io/AuthorizationPolicy":
        return [
          taker(
            (one) => i.setAuthorizationPolicy(one),
            (...at) => i.deleteAuthorizationPolicy(...at),
          ),
          taker(
            (one) => s.setAuthorizationPolicy(one),
            (...at) => s.deleteAuthorizationPolicy(...at),
          ),
        ];
      case "policy.linkerd.io/MeshTLSAuthentication":
        return [
          taker(
            (one) => i.setMeshTlsAuthentication(one),
            (...at) => i.deleteMeshTlsAuthentication(...at),
          ),
          authentication(s, "MeshTLSAuthentication"),
        ];
      case "policy.linkerd.io/NetworkAuthentication":
        return [
          taker(
            (one) => i.setNetworkAuthentication(one),
            (...at) => i.deleteNetworkAuthentication(...at),
          ),
          authentication(s, "NetworkAuthentication"),
        ];
      case "policy.linkerd.io/HTTPLocalRateLimitPolicy":
        return [
          taker(
            (one) => i.setRateLimitPolicy(one),
            (...at) => i.deleteRateLimitPolicy(...at),
          ),
          taker(
            (one) => s.setRateLimitPolicy(one),
            (...at) => s.deleteRateLimitPolicy(...at),
          ),
        ];
      case "policy.linkerd.io/EgressNetwork":
        return [
          taker(
            (one) => o.setEgressNetwork(one),
            (...at) => o.deleteEgressNetwork(...at),
          ),
          taker(
            (one) => s.setEgressNetwork(one),
            (...at) => s.deleteEgressNetwork(...at),
          ),
        ];
      case "policy.linkerd.io/HTTPRoute":
      case "gateway.networking.k8s.io/HTTPRoute": {
        const group = kind.startsWith(POLICY_GROUP) ? POLICY_GROUP : GATEWAY_GROUP;
        const http = group === POLICY_GROUP ? "policy-http" : "gateway-http";
        return [
          taker(
            (one) => i.setHttpRoute(group, one),
            (...at) => i.deleteHttpRoute(group, ...at),
          ),
          taker(
            (one) => o.setHttpRoute(group, one),
            (...at) => o.deleteHttpRoute(group, ...at),
          ),
          taker(
            (one) => s.setRoute(http, one),
            (...at) => s.deleteRoute(http, ...at),
          ),
        ];
      }
      case "gateway.networking.k8s.io/GRPCRoute":
        return [
          taker(
            (one) => i.setGrpcRoute(one),
            (...at) => i.deleteGrpcRoute(...at),
          ),
          taker(
            (one) => o.setGrpcRoute(one),
            (...at) => o.deleteGrpcRoute(...at),
          ),
          taker(
            (one) => s.setRoute("grpc", one),
            (...at) => s.deleteRoute("grpc", ...at),
          ),
        ];
      case "gateway.networking.k8s.io/TLSRoute":
        return [
          taker(
            (one) => o.setTlsRoute(one),
            (...at) => o.deleteTlsRoute(...at),
          ),
          taker(
            (one) => s.setRoute("tls", one),
            (...at) => s.deleteRoute("tls", ...at),
          ),
        ];
      case "gateway.networking.k8s.io/TCPRoute":
        return [
          taker(
            (one) => o.setTcpRoute(one),
            (...at) => o.deleteTcpRoute(...at),
          ),
          taker(
            (one) => s.setRoute("tcp", one),
            (...at) => s.deleteRoute("tcp", ...at),
          ),
        ];
      case "linkerd.io/ServiceProfile":
        return [
          taker(
            (one) => o.setServiceProfile(one),
            (...at) => o.deleteServiceProfile(...at),
          ),
          taker(
            (one) => s.setServiceProfile(one),
            (...at) => s.deleteServiceProfile(...at),
          ),
        ];
      default:
        throw new Error(`nobody is told of ${kind}`);
    }
  }

  /** A namespace like many, with one of everything, all of it in use. */
  settleGood(): void {
    const at = (name: string, more: object = {}): KubeObject["metadata"] => ({
      name,
      namespace: GOOD,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...more,
    });
    const group = POLICY_GROUP;
    const server = { group, kind: "Server", name: "server" };
    const service = { group: "core", kind: "Service", name: "svc", port: 80 };
    const put = (kind: string, name: string, spec: object, more: object = {}): void =>
      this.#putAccepted(kind, { metadata: at(name, more), spec } as KubeObject);
    const containers = [{ name: "c", ports: [{ name: "http", containerPort: 8080 }] }];
    put("Pod", "pod", { containers }, { labels: { app: "web" } });
    put("Service", "svc", { clusterIP: "10.1.0.1", ports: [{ port: 80 }] });
    put("policy.linkerd.io/Server", "server", { podSelector: {}, port: "http" });
    const identityRefs = [{ kind: "ServiceAccount", name: "web" }];
    put("policy.linkerd.io/MeshTLSAuthentication", "tls", { identityRefs });
    put("policy.linkerd.io/NetworkAuthentication", "net", { networks: [{ cidr: "10.0.0.0/8" }] });
    put("policy.linkerd.io/AuthorizationPolicy", "policy", {
      targetRef: server,
      requiredAuthenticationRefs: [
        { group, kind: "MeshTLSAuthentication", name: "tls" },
        { group, kind: "NetworkAuthentication", name: "net" },
      ],
    });
    const total = { requestsPerSecond: 10 };
    put("policy.linkerd.io/HTTPLocalRateLimitPolicy", "limit", { targetRef: server, total });
    put("policy.linkerd.io/HTTPRoute", "inside", { parentRefs: [server], rules: [{}] });
    const rules = [{ backendRefs: [{ name: "svc", port: 80 }] }];
    put("gateway.networking.k8s.io/HTTPRoute", "route", { parentRefs: [service], rules });
  }

  /** All answers to somebody of the good namespace, and its statuses. */
  answers(): Record<string, string> {
    const found: Record<string, string> = {};
    const track = (): void => {};
    for (const port of [8080, 81]) {
      const server = this.inbound.server("pod", GOOD, "pod", port, track);
      assert.ok(server);
      const audience = { trustDomains: ["cluster.local"], machines: [] };
      found[`inbound ${port}`] = Buffer.from(encodeServer(server, audience).frame).toString("hex");
    }
    for (const port of [80, 81]) {
      const destination = this.outbound.lookupName(`svc.${GOOD}.svc.cluster.local`, port)!;
      const policy = this.outbound.policy(destination, GOOD, track);
      assert.ok(policy !== "gone");
      found[`outbound ${port}`] = Buffer.from(encodePolicy(policy).frame).toString("hex");
    }
    for (const key of this.status.keys()) {
      if (key.namespace !== GOOD) continue;
      const change = this.status.change(key, NOW);
      found[`status ${key.kind}/${key.name}`] = JSON.stringify(change ?? null);
    }
    return found;
  }

  /** With the status that the status controller would write. */
  #putAccepted(kind: string, object: KubeObject): void {
    this.set(kind, object);
    for (const key of this.status.keys()) {
      if (key.namespace !== GOOD || key.name !== object.metadata.name) continue;
      const change = this.status.change(key, NOW);
      if (change !== undefined) this.set(kind, { ...object, status: change.status } as KubeObject);
    }
  }
}

interface Taker {
  readonly set: (object: never) => void;
  readonly delete: (namespace: string, name: string) => void;
}

function taker(set: (object: never) => void, remove: Taker["delete"]): Taker {
  return { set, delete: remove };
}

function authentication(
  status: StatusIndex,
  kind: "MeshTLSAuthentication" | "NetworkAuthentication",
): Taker {
  return taker(
    (object) => status.setAuthentication(kind, object),
    (...at) => status.deleteAuthentication(kind, ...at),
  );
}
