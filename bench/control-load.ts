/**
 * The other process of `bench -- control`: its connections, its changes, its certificates. Does one
 * step for each message of its parent, and answers with figures.
 */
import { keyPem, newCsr, newKey } from "@heddle/agent/csr";
import { Identity } from "@heddle/api/gen/identity_pb";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { ENDPOINT_SLICES, type EndpointSlice } from "@heddle/kube/types/core";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { Credentials } from "@heddle/net/tls-credentials";
import { grpcRequest, Watcher } from "./control-client.ts";

export interface LoadOptions {
  readonly kubeconfig: string;
  readonly controlIp: string;
  readonly anchors: string;
  /** Of the mesh's account that all connections share, and of the control plane's services. */
  readonly names: {
    readonly client: string;
    readonly destination: string;
    readonly identity: string;
  };
  readonly token: string;
  readonly namespace: string;
  readonly connections: number;
  readonly services: number;
  readonly pods: number;
  readonly watchedServices: number;
  readonly watchedPorts: number;
  /** Source addresses: a client has only so many ports to one server. */
  readonly sources: readonly string[];
}

export type Step =
  | { readonly step: "start"; readonly options: LoadOptions }
  | { readonly step: "connect"; readonly atOnce: number }
  | { readonly step: "push"; readonly changes: number; readonly perSecond: number }
  | { readonly step: "certify"; readonly count: number }
  | { readonly step: "disconnect" };

/** Far beyond what is asked for, so that what is missed is measured too. */
const CONNECT_MS = 300_000;
const PORTS = { identity: 8080, destination: 8086 } as const;
const TOKEN_AT_ONCE = 64;

class Load {
  readonly #options: LoadOptions;
  readonly #credentials: Credentials;
  readonly #kube: KubeClient;
  readonly #watchers: Watcher[] = [];
  /** Per service: changes whose messages are still on their way. */
  readonly #pending: Change[][];
  #waiting = 0;
  #onAllTold: () => void = () => {};
  #lost: string | undefined;

  constructor(options: LoadOptions, credentials: Credentials) {
    this.#options = options;
    this.#credentials = credentials;
    this.#kube = new KubeClient({ cluster: loadKubeconfig({ paths: [options.kubeconfig] }) });
    this.#pending = Array.from({ length: options.services }, () => []);
  }

  /** Opens all connections and streams. @returns seconds until each stream had its first message. */
  async connect(atOnce: number): Promise<number> {
    const { connections, watchedServices, watchedPorts } = this.#options;
    const started = performance.now();
    const told = Promise.withResolvers<void>();
    this.#waiting = connections * (watchedServices + watchedPorts);
    this.#onAllTold = told.resolve;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < connections) await this.#open(next++);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    await told.promise;
    this.#check();
    return (performance.now() - started) / 1000;
  }

  disconnect(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  /** Changes slices. @returns p99 of the time from before the write to the last stream's message. */
  async push(changes: number, perSecond: number): Promise<number> {
    const { services } = this.#options;
    const delaysMs: number[] = [];
    const done = Promise.withResolvers<void>();
    const finished = (change: Change): void => {
      delaysMs.push(performance.now() - change.startedMs);
      if (delaysMs.length === changes) done.resolve();
    };
    const watching = (this.#options.connections * this.#options.watchedServices) / services;
    const started = performance.now();
    /** One at a time for each service: the next would begin from what is no longer so. */
    const writes: Promise<void>[] = Array.from({ length: services }, () => Promise.resolve());
    for (let i = 0; i < changes; i++) {
      const dueMs = started + (i * 1000) / perSecond;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      const service = i % services;
      const startedMs = performance.now();
      this.#pending[service]!.push({ startedMs, left: watching, finished });
      writes[service] = writes[service]!.then(() => this.#toggle(service));
    }
    await Promise.all(writes);
    await done.promise;
    this.#check();
    delaysMs.sort((a, b) => a - b);
    return delaysMs[Math.floor((delaysMs.length - 1) * 0.99)]!;
  }

  /** @returns certificates a minute. */
  async certify(count: number): Promise<number> {
    const { names, token } = this.#options;
    const csr = await newCsr(newKey(), { type: "dns", value: names.client });
    const client = await identityClient(this.#options, this.#credentials);
    const started = performance.now();
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next++ < count) await client.certify(names.client, token, csr);
    };
    await Promise.all(Array.from({ length: TOKEN_AT_ONCE }, worker));
    client.close();
    return (count / (performance.now() - started)) * 60_000;
  }

  async #open(index: number): Promise<void> {
    const { controlIp, names, namespace, services, pods, sources } = this.#options;
    const watcher = await Watcher.connect({
      address: { ip: controlIp, port: PORTS.destination },
      localAddress: sources[index % sources.length]!,
      serverName: names.destination,
      credentials: this.#credentials,
      timeoutMs: CONNECT_MS,
      onLost: (why) => {
        this.#lost ??= why;
        this.#onAllTold();
      },
    });
    this.#watchers.push(watcher);
    const pod = podName(index % pods);
    const context = JSON.stringify({ ns: namespace, nodeName: "node", pod });
    const workload = JSON.stringify({ ns: namespace, pod });
    for (let n = 0; n < this.#options.watchedServices; n++) {
      const service = (index * this.#options.watchedServices + n) % services;
      const path = `svc-${service}.${namespace}.svc.cluster.local:80`;
      watcher.watch({
        method: "/io.linkerd.proxy.destination.Destination/Get",
        request: grpcRequest([2, path], [3, context]),
        onMessage: (count) => (count === 1 ? this.#first() : this.#heard(service)),
      });
    }
    for (let n = 0; n < this.#options.watchedPorts; n++) {
      watcher.watch({
        method: "/io.linkerd.proxy.inbound.InboundServerPolicies/WatchPort",
        request: grpcRequest([1, workload], [2, 8_080 + n]),
        onMessage: (count) => {
          if (count === 1) this.#first();
        },
      });
    }
  }

  #first(): void {
    if (--this.#waiting === 0) this.#onAllTold();
  }

  #heard(service: number): void {
    const change = this.#pending[service]![0];
    if (change === undefined) {
      this.#lost ??= `a message for service ${service} that no change explains`;
      return;
    }
    if (--change.left > 0) return;
    this.#pending[service]!.shift();
    change.finished(change);
  }

  /** Adds an endpoint to the service's slice, or takes it away again: one message for each stream. */
  async #toggle(service: number): Promise<void> {
    const ref = { namespace: this.#options.namespace, name: `svc-${service}-a` };
    const slice: EndpointSlice = await this.#kube.get(ENDPOINT_SLICES, ref);
    const all = slice.endpoints ?? [];
    const extra = `203.0.${service >> 8}.${service & 255}`;
    const without = all.filter(({ addresses }) => addresses[0] !== extra);
    const endpoints =
      without.length < all.length
        ? without
        : [...all, { addresses: [extra], conditions: { ready: true } }];
    await this.#kube.update(ENDPOINT_SLICES, { ...slice, endpoints });
  }

  #check(): void {
    if (this.#lost !== undefined) throw new Error(`Cannot measure: ${this.#lost}`);
  }
}

interface Change {
  readonly startedMs: number;
  /** Streams that have not heard of it. */
  left: number;
  readonly finished: (change: Change) => void;
}

export function podName(index: number): string {
  return `pod-${index}`;
}

interface IdentityClient {
  certify(name: string, token: string, csr: Uint8Array): Promise<string>;
  close(): void;
}

async function identityClient(
  { controlIp, names, sources }: LoadOptions,
  credentials: Credentials,
): Promise<IdentityClient> {
  const connection = new Http2Client(
    await dial({
      address: { ip: controlIp, port: PORTS.identity },
      localAddress: sources[0],
      timeoutMs: CONNECT_MS,
      tls: { credentials, serverName: names.identity, serverId: names.identity },
    }),
  );
  const client = new GrpcClient(connection, { authority: names.identity });
  return {
    async certify(name, token, certificateSigningRequest) {
      const request = { identity: name, token: Buffer.from(token), certificateSigningRequest };
      const answer = await client.unary(Identity.method.certify, request);
      return [answer.leafCertificate, ...answer.intermediateCertificates].map(pem).join("");
    },
    close: () => connection.destroy(),
  };
}

function pem(der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Gets the certificate that all connections show. */
async function startLoad(options: LoadOptions): Promise<Load> {
  const { anchors, names, token } = options;
  const key = newKey();
  const csr = await newCsr(key, { type: "dns", value: names.client });
  const anonymous = await identityClient(options, new Credentials({ anchors }));
  const certificate = await anonymous.certify(names.client, token, csr);
  anonymous.close();
  return new Load(options, new Credentials({ anchors, certificate, privateKey: keyPem(key) }));
}

let load: Load | undefined;

async function take(message: Step): Promise<number> {
  if (message.step === "start") {
    load = await startLoad(message.options);
    return 0;
  }
  if (load === undefined) throw new Error("not started");
  if (message.step === "connect") return await load.connect(message.atOnce);
  if (message.step === "push") return await load.push(message.changes, message.perSecond);
  if (message.step === "certify") return await load.certify(message.count);
  load.disconnect();
  return 0;
}

process.on("message", (message) => {
  take(message as Step).then(
    (figure) => process.send!({ figure }),
    (error: unknown) => process.send!({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
