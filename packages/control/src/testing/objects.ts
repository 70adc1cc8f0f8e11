import type { KubeClient } from "@heddle/kube/client";
import {
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  type EndpointSlice,
  NAMESPACES,
  PODS,
  type Pod,
  REPLICA_SETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Service,
  type SliceEndpoint,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, type ExternalWorkload } from "@heddle/kube/types/linkerd";
import type { KubeObject, OwnerReference } from "@heddle/kube/types/meta";

/** Of all pods. */
const POD_ACCOUNT = "web";

/** For tests: makes the objects of one namespace, short of everything that does not matter. */
export class TestNamespace {
  readonly name: string;
  readonly kube: KubeClient;

  private constructor(kube: KubeClient, name: string) {
    this.kube = kube;
    this.name = name;
  }

  static async create(kube: KubeClient, name: string): Promise<TestNamespace> {
    await kube.create(NAMESPACES, { metadata: { name } });
    await kube.create(SERVICE_ACCOUNTS, { metadata: { name: POD_ACCOUNT, namespace: name } });
    return new TestNamespace(kube, name);
  }

  /** A Service without selector, so that nobody makes slices for it but the test. */
  service(
    name: string,
    spec: NonNullable<Service["spec"]>,
    metadata: Omit<Service["metadata"], "name"> = {},
  ): Promise<Service> {
    return this.kube.create(SERVICES, {
      metadata: { ...metadata, name, namespace: this.name },
      spec,
    });
  }

  slice(
    service: string,
    name: string,
    endpoints: readonly SliceEndpoint[],
    more: Partial<EndpointSlice> = {},
  ): Promise<EndpointSlice> {
    return this.kube.create(ENDPOINT_SLICES, {
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      ...more,
      endpoints,
      metadata: {
        ...more.metadata,
        name,
        namespace: this.name,
        labels: { ...more.metadata?.labels, "kubernetes.io/service-name": service },
      },
    });
  }

  /** A running pod with its addresses; `meshed` gives it a sidecar. */
  async pod(options: PodOptions): Promise<Pod> {
    const { name, ips, meshed = true, labels = {}, annotations = {}, phase = "Running" } = options;
    const created = await this.kube.create(PODS, {
      metadata: {
        name,
        namespace: this.name,
        labels: meshed ? { "linkerd.io/control-plane-ns": "linkerd", ...labels } : labels,
        annotations,
        ...(options.owner === undefined ? {} : { ownerReferences: [options.owner] }),
      },
      spec: {
        serviceAccountName: POD_ACCOUNT,
        nodeName: options.nodeName ?? "node-a",
        ...(options.initContainers === undefined ? {} : { initContainers: options.initContainers }),
        containers: [
          {
            name: "app",
            image: "app",
            ports: (options.ports ?? []).map((port) => ({ protocol: "TCP", ...port })),
          },
          ...(meshed ? [{ ...SIDECAR, env: options.proxyEnv ?? SIDECAR.env }] : []),
        ],
      },
    } as Pod);
    return this.setPodStatus(created, phase, ips, options.hostIp);
  }

  /** A ReplicaSet with its Deployment. They exist, or pods that they own would be garbage. */
  async replicaSet(deployment: string, name: string): Promise<OwnerReference> {
    const spec = {
      replicas: 0,
      selector: { matchLabels: { app: deployment } },
      template: {
        metadata: { labels: { app: deployment } },
        spec: { containers: [{ name: "app", image: "app" }] },
      },
    };
    const namespace = this.name;
    const parent = await this.kube.create(DEPLOYMENTS, {
      metadata: { name: deployment, namespace },
      spec,
    } as KubeObject);
    const ownerReferences = [ownerOf("Deployment", parent)];
    const made = await this.kube.create(REPLICA_SETS, {
      metadata: { name, namespace, ownerReferences },
      spec,
    } as KubeObject);
    return ownerOf("ReplicaSet", made);
  }

  setPodStatus(
    pod: Pod,
    phase: NonNullable<NonNullable<Pod["status"]>["phase"]>,
    ips: readonly string[],
    hostIp?: string,
  ): Promise<Pod> {
    const podIp = ips[0] === undefined ? {} : { podIP: ips[0] };
    const status = {
      phase,
      ...podIp,
      podIPs: ips.map((ip) => ({ ip })),
      ...(hostIp === undefined ? {} : { hostIP: hostIp, hostIPs: [{ ip: hostIp }] }),
    };
    return this.kube.update(PODS, { ...pod, status }, { subresource: "status" });
  }

  async workload(
    name: string,
    spec: Partial<ExternalWorkload["spec"]>,
    options: { readonly labels?: Record<string, string>; readonly isReady?: boolean } = {},
  ): Promise<ExternalWorkload> {
    const created = await this.kube.create(EXTERNAL_WORKLOADS, {
      metadata: { name, namespace: this.name, labels: options.labels ?? {} },
      spec: {
        meshTLS: {
          identity: `spiffe://cluster.local/ns/${this.name}/external/${name}`,
          serverName: `${name}.${this.name}.external.cluster.local`,
        },
        ports: [{ name: "http", port: 8080 }],
        workloadIPs: [],
        ...spec,
      },
    });
    if (options.isReady === false) return created;
    const status = { conditions: [{ type: "Ready", status: "True" }] } as const;
    return this.kube.update(EXTERNAL_WORKLOADS, { ...created, status }, { subresource: "status" });
  }

  /** An endpoint of a slice that points at a pod or machine of this namespace. */
  target(kind: "Pod" | "ExternalWorkload", name: string, ip: string): SliceEndpoint {
    return {
      addresses: [ip],
      conditions: { ready: true },
      targetRef: { kind, name, namespace: this.name },
    };
  }
}

export interface PodOptions {
  readonly name: string;
  readonly ips: readonly string[];
  readonly meshed?: boolean;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly phase?: "Pending" | "Running";
  readonly initContainers?: readonly object[];
  /** Of the sidecar. */
  readonly proxyEnv?: readonly object[];
  readonly nodeName?: string;
  readonly hostIp?: string;
  readonly ports?: readonly {
    readonly name?: string;
    readonly containerPort: number;
    readonly hostPort?: number;
  }[];
  readonly owner?: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
  };
}

function ownerOf(kind: string, { metadata }: KubeObject): OwnerReference {
  return { apiVersion: "apps/v1", kind, name: metadata.name!, uid: metadata.uid! };
}

const SIDECAR = {
  name: "linkerd-proxy",
  image: "proxy",
  env: [
    { name: "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", value: "0.0.0.0:4143" },
    { name: "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", value: "0.0.0.0:4191" },
    { name: "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", value: "0.0.0.0:4190" },
  ],
};
