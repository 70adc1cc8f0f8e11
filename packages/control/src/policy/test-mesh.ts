import { InboundServerPolicies, type Server as ServerMessage } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies, type OutboundPolicy } from "@heddle/api/gen/outbound_pb";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { Registry } from "@heddle/base/metrics";
import type { KubeClient } from "@heddle/kube/client";
import { NAMESPACES, PODS, SERVICES, type Service } from "@heddle/kube/types/core";
import { EGRESS_NETWORKS, type EgressNetwork } from "@heddle/kube/types/linkerd";
import type { Condition, KubeObject, Resource } from "@heddle/kube/types/meta";
import type { Route, RouteParentStatus } from "@heddle/kube/types/routes";
import { ipv4, parseIp, parseNetworks } from "@heddle/model/network";
import { type CallOptions, GrpcClient } from "@heddle/net/grpc/client";
import { GrpcServer } from "@heddle/net/grpc/server";
import type { HttpService } from "@heddle/net/http";
import { installDefinitions } from "../crds/install.ts";
import { type PolicyOptions, type PolicyRole, startPolicy } from "./main.ts";
import { parsePortSet } from "./port-set.ts";

/** How long anything may take before a test gives up waiting. */
const PATIENCE_MS = 20_000;
/** In the cluster's networks, and nobody's. */
export const UNUSED_IP = "10.8.255.255";
export const OUTSIDE_IP = "1.1.1.1";

/** A store that can be taken away. */
export interface TestStore extends AsyncDisposable {
  readonly client: KubeClient;
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/** What a test brings along from `@heddle/testkit`, which only tests may know. */
export interface Testkit {
  readonly ApiStore: {
    start(options: { readonly serviceCidr: string }): Promise<TestStore>;
  };
  readonly GrpcHost: {
    start(server: GrpcServer): Promise<
      AsyncDisposable & {
        readonly authority: string;
        connect(): Promise<HttpService & AsyncDisposable>;
      }
    >;
  };
  readonly grpcMetadata: (
    fields: Readonly<Record<string, string>>,
  ) => NonNullable<CallOptions["metadata"]>;
}

/** For tests only. The embedded API server, a policy controller on it, and a proxy's view of that over a socket. */
export class PolicyMesh implements AsyncDisposable {
  readonly store: TestStore;
  readonly client: KubeClient;
  readonly metrics: Registry;
  readonly grpc: GrpcClient;
  readonly role: PolicyRole;
  readonly #parts: AsyncDisposableStack;
  readonly #kit: Testkit;
  #namespaces = 0;

  private constructor(
    kit: Testkit,
    made: Pick<PolicyMesh, "store" | "role" | "grpc" | "metrics">,
    parts: AsyncDisposableStack,
  ) {
    this.store = made.store;
    this.client = made.store.client;
    this.role = made.role;
    this.grpc = made.grpc;
    this.metrics = made.metrics;
    this.#kit = kit;
    this.#parts = parts;
  }

  static async start(kit: Testkit, options: Partial<PolicyOptions> = {}): Promise<PolicyMesh> {
    await using parts = new AsyncDisposableStack();
    const store = parts.use(await kit.ApiStore.start({ serviceCidr: "10.43.0.0/16" }));
    await store.client.create(NAMESPACES, { metadata: { name: "linkerd" } });
    await installDefinitions(store.client);
    const server = new GrpcServer();
    const metrics = new Registry();
    const role = parts.use(
      await startPolicy({
        kube: store.client,
        metrics,
        log: Log.silent(),
        clock: systemClock,
        trustDomain: "mesh.example",
        identityDomain: "cluster.local",
        clusterDomain: "cluster.local",
        clusterNetworks: parseNetworks("10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16"),
        controlNamespace: "linkerd",
        defaultPolicy: "all-unauthenticated",
        defaultOpaquePorts: parsePortSet("25,587,3306,4444,5432,6379,9300,11211"),
        probeNetworks: parseNetworks("0.0.0.0/0,::/0"),
        grpc: server,
        holder: "test",
        ...options,
      }),
    );
    const host = parts.use(await kit.GrpcHost.start(server));
    const connection = parts.use(await host.connect());
    const grpc = new GrpcClient(connection, { authority: host.authority });
    await role.synced;
    return new PolicyMesh(kit, { store, role, grpc, metrics }, parts.move());
  }

  async namespace(): Promise<string> {
    this.#namespaces++;
    const name = `test-${this.#namespaces}`;
    await this.client.create(NAMESPACES, { metadata: { name } });
    return name;
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    fields: object,
    metadata: object = {},
  ): Promise<T> {
    const object = { metadata: { name, namespace, ...metadata }, ...fields };
    return this.client.create(resource, object as unknown as T);
  }

  async delete(resource: Resource<KubeObject>, namespace: string, name: string): Promise<void> {
    await this.client.delete(resource, { namespace, name });
  }

  async patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    body: object,
  ): Promise<T> {
    return this.client.patch(resource, { namespace, name }, { type: "merge", body });
  }

  /** A pod as injection leaves it: its proxy is probed on the admin port. */
  async pausePod(namespace: string): Promise<string> {
    const probe = (path: string): object => ({ httpGet: { path, port: 4191 } });
    const proxy = { name: "linkerd-proxy", image: "proxy", ports: [{ containerPort: 4191 }] };
    const containers = [
      { name: "pause", image: "pause" },
      { ...proxy, livenessProbe: probe("/live"), readinessProbe: probe("/ready") },
    ];
    const labels = { app: "pause", "linkerd.io/control-plane-ns": "linkerd" };
    await this.create(PODS, namespace, "pause", { spec: { containers } }, { labels });
    return `${namespace}:pause`;
  }

  async service(
    namespace: string,
    name: string,
    options: { annotations?: Record<string, string>; appProtocol?: string } = {},
  ): Promise<Service> {
    const { annotations = {}, appProtocol } = options;
    const port = (port: number): object => ({
      name: `p${port}`,
      port,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    });
    const spec = { selector: { app: name }, ports: [port(4191), port(9999)] };
    return this.create(SERVICES, namespace, name, { spec }, { annotations });
  }

  async egress(
    namespace: string,
    annotations: Record<string, string> = {},
    spec: object = { trafficPolicy: "Allow" },
  ): Promise<EgressNetwork> {
    return this.create(EGRESS_NETWORKS, namespace, "my-egress", { spec }, { annotations });
  }

  /** Waits until the controller has given a verdict on the route; for any of its parents. */
  async accepted(
    resource: Resource<Route<never>>,
    namespace: string,
    name: string,
    wanted: Condition["status"] = "True",
  ): Promise<readonly RouteParentStatus[]> {
    return this.eventually(`${name} is accepted: ${wanted}`, async () => {
      const route = await this.client.get(resource, { namespace, name });
      const parents = route.status?.parents ?? [];
      const isSo = parents.some(({ conditions }) =>
        conditions?.some(({ type, status }) => type === "Accepted" && status === wanted),
      );
      return isSo ? parents : undefined;
    });
  }

  /** Resolves in a second that has not been before: creation times are whole seconds. */
  async nextSecond(): Promise<void> {
    const second = (): string => new Date().toISOString().slice(0, 19);
    const before = second();
    await this.eventually("the next second", async () => (second() === before ? undefined : true));
  }

  /** Asks until there is an answer. */
  async eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** @param extensions - What the proxy announces that it reads. */
  async watchPort(workload: string, port: number, extensions = ""): Promise<Watch<ServerMessage>> {
    const metadata = this.#kit.grpcMetadata(
      extensions === "" ? {} : { "heddle-proxy-extensions": extensions },
    );
    await this.eventually(`${workload} is known`, () =>
      known(this.grpc.unary(InboundServerPolicies.method.getPort, { workload, port })),
    );
    const { watchPort } = InboundServerPolicies.method;
    return new Watch(this.grpc.serverStream(watchPort, { workload, port }, { metadata }));
  }

  async watchOutbound(namespace: string, ip: string, port: number): Promise<Watch<OutboundPolicy>> {
    const spec = trafficSpec(namespace, ip, port);
    await this.eventually(`${ip} is known`, () =>
      known(this.grpc.unary(OutboundPolicies.method.get, spec)),
    );
    return new Watch(this.grpc.serverStream(OutboundPolicies.method.watch, spec));
  }

  async watchAuthority(namespace: string, authority: string): Promise<Watch<OutboundPolicy>> {
    const target = { case: "authority", value: authority } as const;
    const spec = { sourceWorkload: `${namespace}:client`, target };
    return new Watch(this.grpc.serverStream(OutboundPolicies.method.watch, spec));
  }

  /**
   * Resolves when everything that was sent to any stream before has arrived: messages of one
   * connection come in order.
   */
  async fence(): Promise<void> {
    await known(this.grpc.unary(OutboundPolicies.method.get, trafficSpec("fence", OUTSIDE_IP, 80)));
    await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}

export function trafficSpec(
  namespace: string,
  ip: string,
  port: number,
): {
  sourceWorkload: string;
  target: { case: "addr"; value: { ip: { ip: { case: "ipv4"; value: number } }; port: number } };
} {
  const address = parseIp(ip) ?? ipv4(0);
  const value = { ip: { ip: { case: "ipv4", value: address.a } as const }, port };
  return { sourceWorkload: `${namespace}:client`, target: { case: "addr", value } };
}

/** Undefined where the server says that there is no such thing. */
async function known<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if ((error as { code?: string }).code === "grpc_not_found") return undefined;
    throw error;
  }
}

/** A stream of policies, one at a time: what comes in excess is seen by the next look. */
export class Watch<T> implements AsyncDisposable {
  readonly #stream: AsyncIterableIterator<T>;
  readonly #arrived: T[] = [];
  #isOver = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(stream: AsyncIterableIterator<T>) {
    this.#stream = stream;
    this.#read().catch((error: unknown) => {
      this.#failure = error;
      this.#wake?.();
    });
  }

  /** The next message, whether it has come or not. */
  async next(): Promise<T> {
    await this.#until(() => this.#arrived.length > 0 || this.#isOver);
    const message = this.#arrived.shift();
    if (message === undefined) throw new Error("the stream has ended");
    return message;
  }

  /** How many have come that nobody has looked at. */
  get waiting(): number {
    return this.#arrived.length;
  }

  /** Resolves when the server ends the stream in order. */
  async over(): Promise<void> {
    await this.#until(() => this.#isOver);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream.return?.();
  }

  async #read(): Promise<void> {
    for await (const message of this.#stream) {
      this.#arrived.push(message);
      this.#wake?.();
    }
    this.#isOver = true;
    this.#wake?.();
  }

  async #until(isSo: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error("waited in vain for a message")), PATIENCE_MS);
    this.#wake = () => {
      if (this.#failure !== undefined) reject(this.#failure);
      else if (isSo()) resolve();
    };
    this.#wake();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#wake = undefined;
    }
  }
}
