import assert from "node:assert/strict";
import type { Container, Pod } from "@heddle/kube/types/core";
import type {
  AuthorizationPolicy,
  MeshTlsAuthentication,
  NetworkAuthentication,
  Server,
} from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import type { HttpRoute } from "@heddle/kube/types/routes";
import { NetworkMatch, parseNetwork } from "@heddle/model/network";
import { acceptedBy, object } from "../test-objects.ts";
import { InboundIndex } from "./core.ts";
import type { DefaultPolicy } from "./default-policy.ts";
import type { InboundServer } from "./server.ts";

export type Meta = Partial<KubeObject["metadata"]>;

/** For tests: an index with one pod and what they put in, and what it says of it. */
export class World {
  readonly index: InboundIndex;
  readonly touched: string[] = [];
  readonly unreadable: string[] = [];

  constructor(defaultPolicy: DefaultPolicy = "all-unauthenticated") {
    this.index = new InboundIndex(
      {
        controlNamespace: "linkerd",
        identityDomain: "cluster.local",
        clusterNetworks: [new NetworkMatch(parseNetwork("10.0.0.0/8"))],
        probeNetworks: [new NetworkMatch(parseNetwork("10.0.0.1/32"))],
        defaultPolicy,
      },
      {
        touched: (fact) => this.touched.push(fact),
        unreadable: (kind, ref, problem) => this.unreadable.push(`${kind} ${ref}: ${problem}`),
      },
    );
  }

  pod(metadata: Meta = {}, containers: Partial<Container>[] = []): void {
    const spec = { containers: containers as Container[] };
    this.index.setPod(object<Pod>("pod", { spec }, { labels: { app: "web" }, ...metadata }));
  }

  server(port: number | string = 8080, more: object = {}, metadata: Meta = {}): void {
    const spec = { podSelector: { matchLabels: { app: "web" } }, port, ...more };
    this.index.setServer(object<Server>(metadata.name ?? "server", { spec }, metadata));
  }

  at(port = 8080): InboundServer {
    const found = this.index.server("pod", "ns", "pod", port, () => undefined);
    assert.ok(found, "the pod is known");
    return found;
  }

  authorizations(port = 8080): string[] {
    return this.at(port).authorizations.map(({ ref }) => `${ref.kind}/${ref.name}`);
  }

  routes(port = 8080): string[] {
    return this.at(port).httpRoutes.map(({ ref }) => ref.name);
  }
}

export function authorizationPolicy(targetRef: object, ...refs: object[]): AuthorizationPolicy {
  const spec = { targetRef, requiredAuthenticationRefs: refs };
  return object<AuthorizationPolicy>("policy", { spec } as Omit<AuthorizationPolicy, "metadata">);
}

export const SERVER = { group: "policy.linkerd.io", kind: "Server", name: "server" };
export const TLS_REF = { group: "policy.linkerd.io", kind: "MeshTLSAuthentication", name: "tls" };
export const NETWORK_REF = {
  group: "policy.linkerd.io",
  kind: "NetworkAuthentication",
  name: "net",
};

export function meshTls(...identities: string[]): MeshTlsAuthentication {
  return object<MeshTlsAuthentication>("tls", { spec: { identities } });
}

export function networkAuthentication(...cidrs: string[]): NetworkAuthentication {
  const networks = cidrs.map((cidr) => ({ cidr }));
  return object<NetworkAuthentication>("net", { spec: { networks } });
}
export const METRICS_ROUTE: { readonly parentRefs: object[]; readonly rules: object[] } = {
  parentRefs: [{ group: "policy.linkerd.io", kind: "Server", name: "server" }],
  rules: [{ matches: [{ path: { type: "Exact", value: "/metrics" }, method: "GET" }] }],
};

export function httpRoute(
  name = "route",
  spec: object = METRICS_ROUTE,
  metadata: Meta = {},
): HttpRoute {
  const status = acceptedBy({ kind: "Server", name: "server" });
  return object<HttpRoute>(name, { spec, status } as Omit<HttpRoute, "metadata">, metadata);
}
