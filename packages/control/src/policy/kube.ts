import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { Informer } from "@heddle/kube/informer";
import { PODS, SERVICES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  EGRESS_NETWORKS,
  EXTERNAL_WORKLOADS,
  HTTP_LOCAL_RATE_LIMIT_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  NETWORK_AUTHENTICATIONS,
  SERVER_AUTHORIZATIONS,
  SERVERS,
  SERVICE_PROFILES,
} from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
} from "@heddle/kube/types/routes";
import type { WatchMetricFamilies } from "@heddle/kube/watch-metrics";
import type { InboundIndex } from "./inbound/core.ts";
import type { OutboundIndex } from "./outbound/core.ts";
import { GATEWAY_GROUP, identityOf, POLICY_GROUP } from "./refs.ts";
import { TCP_ROUTES, TLS_ROUTES, versionsOf } from "./resources.ts";
import type { StatusIndex } from "./status/core.ts";

export interface PolicyIndexes {
  readonly inbound: InboundIndex;
  readonly outbound: OutboundIndex;
  readonly status: StatusIndex;
}

export interface PolicyFeedOptions {
  readonly client: KubeClient;
  readonly indexes: PolicyIndexes;
  readonly log: Log;
  readonly clock: Clock;
  readonly watchMetrics: WatchMetricFamilies;
  readonly onBug: (error: unknown) => void;
  /** How long until a kind that was not there is looked for again. */
  readonly absentRetryMs?: number | undefined;
}

/** What to do with an object of one kind. */
interface Taker<T> {
  readonly set: (object: T) => void;
  readonly delete: (namespace: string, name: string) => void;
}

/** Only pods that a control plane has injected are part of the mesh. */
const MESHED_PODS = "linkerd.io/control-plane-ns";

/** Watches all that the indexes are made of. Owns the watches. */
export class PolicyFeed implements AsyncDisposable {
  readonly #options: PolicyFeedOptions;
  readonly #informers = new Map<string, Informer<never>>();
  readonly #syncing: Promise<void>[] = [];
  #isSynced = false;

  /** Resolves when the indexes know all there is. */
  readonly synced: Promise<void>;

  constructor(options: PolicyFeedOptions) {
    this.#options = options;
    this.#watchWorkloads(options.indexes);
    this.#watchPolicies(options.indexes);
    this.#watchRoutes(options.indexes);
    this.#watchParents(options.indexes);
    this.synced = Promise.all(this.#syncing).then(() => {
      this.#isSynced = true;
    });
  }

  /**
   * Until then a question would be answered from half the truth: "anyone may connect", because the
   * policy that forbids it has not been read yet.
   */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** All versions of a kind; first the one that is read, which is one that the server has. */
  versionsOf(of: Resource<KubeObject>): readonly Resource<KubeObject>[] {
    const all = versionsOf(of);
    const read = this.#informers.get(nameOf(of))?.version;
    if (read === undefined) return all;
    return [read, ...all.filter(({ version }) => version !== read.version)];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watchWorkloads({ inbound, status }: PolicyIndexes): void {
    this.#watch(
      PODS,
      {
        set: (pod) => {
          inbound.setPod(pod);
          status.setPod(pod);
        },
        delete: (namespace, name) => {
          inbound.deletePod(namespace, name);
          status.deletePod(namespace, name);
        },
      },
      MESHED_PODS,
    );
    this.#watch(EXTERNAL_WORKLOADS, {
      set: (workload) => {
        inbound.setExternalWorkload(workload);
        status.setExternalWorkload(workload);
      },
      delete: (namespace, name) => {
        inbound.deleteExternalWorkload(namespace, name);
        status.deleteExternalWorkload(namespace, name);
      },
    });
  }

  #watchPolicies({ inbound, status }: PolicyIndexes): void {
    this.#watch(SERVERS, {
      set: (server) => {
        inbound.setServer(server);
        status.setServer(server);
      },
      delete: (namespace, name) => {
        inbound.deleteServer(namespace, name);
        status.deleteServer(namespace, name);
      },
    });
    this.#watch(SERVER_AUTHORIZATIONS, {
      set: (authorization) => inbound.setServerAuthorization(authorization),
      delete: (namespace, name) => inbound.deleteServerAuthorization(namespace, name),
    });
    this.#watch(AUTHORIZATION_POLICIES, {
      set: (policy) => {
        inbound.setAuthorizationPolicy(policy);
        status.setAuthorizationPolicy(policy);
      },
      delete: (namespace, name) => {
        inbound.deleteAuthorizationPolicy(namespace, name);
        status.deleteAuthorizationPolicy(namespace, name);
      },
    });
    this.#watch(MESH_TLS_AUTHENTICATIONS, {
      set: (authentication) => {
        inbound.setMeshTlsAuthentication(authentication);
        status.setAuthentication("MeshTLSAuthentication", authentication);
      },
      delete: (namespace, name) => {
        inbound.deleteMeshTlsAuthentication(namespace, name);
        status.deleteAuthentication("MeshTLSAuthentication", namespace, name);
      },
    });
    this.#watch(NETWORK_AUTHENTICATIONS, {
      set: (authentication) => {
        inbound.setNetworkAuthentication(authentication);
        status.setAuthentication("NetworkAuthentication", authentication);
      },
      delete: (namespace, name) => {
        inbound.deleteNetworkAuthentication(namespace, name);
        status.deleteAuthentication("NetworkAuthentication", namespace, name);
      },
    });
    this.#watch(HTTP_LOCAL_RATE_LIMIT_POLICIES, {
      set: (policy) => {
        inbound.setRateLimitPolicy(policy);
        status.setRateLimitPolicy(policy);
      },
      delete: (namespace, name) => {
        inbound.deleteRateLimitPolicy(namespace, name);
        status.deleteRateLimitPolicy(namespace, name);
      },
    });
  }

  #watchRoutes({ inbound, outbound, status }: PolicyIndexes): void {
    const http = [
      [POLICY_GROUP, "policy-http", POLICY_HTTP_ROUTES],
      [GATEWAY_GROUP, "gateway-http", GATEWAY_HTTP_ROUTES],
    ] as const;
    for (const [group, kind, resource] of http) {
      this.#watch(resource, {
        set: (route) => {
          inbound.setHttpRoute(group, route);
          outbound.setHttpRoute(group, route);
          status.setRoute(kind, route);
        },
        delete: (namespace, name) => {
          inbound.deleteHttpRoute(group, namespace, name);
          outbound.deleteHttpRoute(group, namespace, name);
          status.deleteRoute(kind, namespace, name);
        },
      });
    }
    this.#watch(GATEWAY_GRPC_ROUTES, {
      set: (route) => {
        inbound.setGrpcRoute(route);
        outbound.setGrpcRoute(route);
        status.setRoute("grpc", route);
      },
      delete: (namespace, name) => {
        inbound.deleteGrpcRoute(namespace, name);
        outbound.deleteGrpcRoute(namespace, name);
        status.deleteRoute("grpc", namespace, name);
      },
    });
    this.#watch(TLS_ROUTES, {
      set: (route) => {
        outbound.setTlsRoute(route);
        status.setRoute("tls", route);
      },
      delete: (namespace, name) => {
        outbound.deleteTlsRoute(namespace, name);
        status.deleteRoute("tls", namespace, name);
      },
    });
    this.#watch(TCP_ROUTES, {
      set: (route) => {
        outbound.setTcpRoute(route);
        status.setRoute("tcp", route);
      },
      delete: (namespace, name) => {
        outbound.deleteTcpRoute(namespace, name);
        status.deleteRoute("tcp", namespace, name);
      },
    });
  }

  #watchParents({ outbound, status }: PolicyIndexes): void {
    this.#watch(SERVICES, {
      set: (service) => {
        outbound.setService(service);
        status.setService(service);
      },
      delete: (namespace, name) => {
        outbound.deleteService(namespace, name);
        status.deleteService(namespace, name);
      },
    });
    this.#watch(SERVICE_PROFILES, {
      set: (profile) => {
        outbound.setServiceProfile(profile);
        status.setServiceProfile(profile);
      },
      delete: (namespace, name) => {
        outbound.deleteServiceProfile(namespace, name);
        status.deleteServiceProfile(namespace, name);
      },
    });
    this.#watch(EGRESS_NETWORKS, {
      set: (network) => {
        outbound.setEgressNetwork(network);
        status.setEgressNetwork(network);
      },
      delete: (namespace, name) => {
        outbound.deleteEgressNetwork(namespace, name);
        status.deleteEgressNetwork(namespace, name);
      },
    });
  }

  #watch<T extends KubeObject>(
    resource: Resource<T>,
    taker: Taker<T>,
    labelSelector?: string,
  ): void {
    const { client, log, clock, watchMetrics, onBug, absentRetryMs } = this.#options;
    const name = nameOf(resource);
    const informer = new Informer<T>({
      client,
      resource,
      log,
      clock,
      labelSelector,
      // A kind that is not installed has no objects; it may come later.
      isOptional: resource.group !== "",
      otherVersions: versionsOf(resource).slice(1),
      ...(absentRetryMs === undefined ? {} : { absentRetryMs }),
      keeps: "versions",
      metrics: watchMetrics.of(`policy/${name}`),
    });
    informer.store.subscribe(({ before, after }) => {
      const object = after ?? before;
      if (object === undefined) return;
      try {
        const { namespace, name: of } = identityOf(object);
        if (after === undefined) taker.delete(namespace, of);
        else taker.set(after);
      } catch (error) {
        // One object that no schema should have let through must not cost all the others.
        log.error("object not understood", { resource: name, object: object.metadata.name, error });
      }
    });
    informer.start(onBug);
    this.#informers.set(name, informer as unknown as Informer<never>);
    this.#syncing.push(informer.store.synced);
  }
}

function nameOf({ group, plural }: Resource<KubeObject>): string {
  return group === "" ? plural : `${plural}.${group}`;
}
