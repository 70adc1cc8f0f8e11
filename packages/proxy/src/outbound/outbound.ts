import { MeshError } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { Labels } from "@heddle/base/metrics";
import { SniRoutes } from "@heddle/model/route/sni";
import {
  type Accepted,
  type DestinationSource,
  type Listener,
  startListener,
} from "@heddle/net/listener";
import { detectTls } from "@heddle/net/tls-detect";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { Connections } from "../connections.ts";
import { type Target, targetPath } from "../discovery/discovery.ts";
import type { HostPort } from "../env-values.ts";
import type { EdgeObserver } from "../http/edge.ts";
import { targetLabels } from "../http/metrics.ts";
import { serveHttp } from "../http/serve.ts";
import { portedLabels } from "../meta.ts";
import type { ClientInfo, RequestRecord } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { detectHttp } from "../tcp/detect-http.ts";
import { TransportFamilies } from "../tcp/transport-metrics.ts";
import type { OutboundConfig } from "./config.ts";
import { type KnownTarget, TargetCache } from "./discover.ts";
import { ExplicitProxy } from "./explicit-proxy.ts";
import type { StackVersion } from "./http.ts";
import { OutboundMetrics } from "./metrics.ts";
import type { TcpRoute } from "./policy.ts";

export interface OutboundOptions {
  /** How listeners learn where clients wanted to go. Default: by SO_ORIGINAL_DST, or refuse. */
  readonly destination?: DestinationSource;
  readonly transport?: TransportFamilies;
}

/** Where a connection came from; a tunnel has no destination that could be counted. */
type From = Pick<Accepted, "clientAddress"> & Partial<Pick<Accepted, "originalDestination">>;

/** The outbound side: traffic of the local application. */
export class Outbound implements AsyncDisposable {
  readonly listeners: Listener[] = [];
  readonly #config: OutboundConfig;
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #metrics: OutboundMetrics;
  readonly #transport: TransportFamilies;
  readonly #targets: TargetCache;
  readonly #connections = new Connections();
  readonly #observer: EdgeObserver;

  constructor(config: OutboundConfig, runtime: Runtime, transport: TransportFamilies) {
    this.#config = config;
    this.#runtime = runtime;
    this.#log = runtime.log.child("outbound");
    this.#metrics = new OutboundMetrics(runtime.metrics);
    this.#transport = transport;
    this.#targets = new TargetCache({
      config,
      runtime,
      metrics: this.#metrics,
      transport,
    });
    this.#observer = new OutboundObserver(this.#metrics, this.#log);
  }

  /** Binds everything; connections wait in the kernel until `accept`. */
  async listen(destination: DestinationSource): Promise<void> {
    const { listen, declared, httpProxy } = this.#config;
    for (const at of listen) {
      await this.#listen(at, destination, (socket, accepted) =>
        this.#acceptCaptured(socket, accepted, destination.kind === "redirected"),
      );
    }
    for (const { listen: at, service } of declared) {
      const target: Target = { kind: "name", name: service.host, port: service.port };
      await this.#listen(at, { kind: "own" }, (socket, accepted) =>
        this.#accept(socket, accepted, target),
      );
    }
    if (httpProxy === undefined) return;
    const explicit = new ExplicitProxy(this.#targets, {
      config: this.#config,
      runtime: this.#runtime,
      connections: this.#connections,
      observer: this.#observer,
      tunnel: (socket, target, client) => this.#acceptTunnel(socket, target, client),
    });
    await this.#listen(httpProxy, { kind: "own" }, (socket, accepted) => {
      const measured = this.#measure(socket, accepted.originalDestination);
      explicit.serve(measured, clientOf(accepted));
    });
  }

  /** Begins to take connections. */
  accept(): void {
    for (const listener of this.listeners) listener.resume();
  }

  /** Stops taking connections, lets those that are up finish, and cuts them off after `graceMs`. */
  async close(graceMs = 0): Promise<void> {
    await Promise.all(this.listeners.map((listener) => listener.close()));
    await this.#connections.close(graceMs);
    this.#targets.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(
    at: HostPort,
    destination: DestinationSource,
    onAccept: (socket: Socket, accepted: Accepted) => void,
  ): Promise<void> {
    const { accept } = this.#config;
    const listener = await startListener(
      {
        at: { ip: at.host, port: at.port },
        destination,
        backlog: accept.backlog,
        keepAliveMs: accept.keepAliveMs,
        userTimeoutMs: accept.userTimeoutMs,
        log: this.#log,
        guard: this.#runtime.guard,
      },
      onAccept,
    );
    listener.pause();
    this.listeners.push(listener);
  }

  /** A CONNECT tunnel is a connection like any other. */
  #acceptTunnel(socket: Socket, target: Target, client: ClientInfo): void {
    const { ip, port } = client;
    this.#accept(socket, { clientAddress: { ip, port } }, target);
  }

  /** @param isRedirected - By the kernel, who then says where the connection was to go. */
  #acceptCaptured(socket: Socket, accepted: Accepted, isRedirected: boolean): void {
    const { clientAddress, originalDestination } = accepted;
    const target = addressTarget(originalDestination);
    if (isRedirected && this.#runtime.dialled.has(clientAddress, originalDestination)) {
      const why = `was redirected from this proxy to itself; ${EXEMPT}`;
      this.#fail(socket, target, loop(target, why));
      return;
    }
    this.#accept(socket, accepted, target);
  }

  #accept(socket: Socket, accepted: From, target: Target): void {
    if (target.kind === "address" && this.#isOwn(target)) {
      this.#fail(socket, target, loop(target, "is this proxy itself"));
      return;
    }
    this.#serve(socket, accepted, target).catch((error: unknown) => {
      if (!(error instanceof MeshError)) {
        socket.destroy();
        this.#runtime.guard.report(error);
        return;
      }
      this.#fail(socket, target, error);
    });
  }

  /** A connection from discovery to the protocol it turns out to speak. */
  async #serve(socket: Socket, accepted: From, target: Target): Promise<void> {
    const known = await this.#targets.acquire(target);
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      known.release();
    };
    try {
      await this.#dispatch(socket, accepted, known, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  async #dispatch(
    socket: Socket,
    accepted: From,
    known: KnownTarget,
    release: () => void,
  ): Promise<void> {
    const { protocol, parent } = known.policy;
    const { originalDestination } = accepted;
    const from =
      originalDestination === undefined ? socket : this.#measure(socket, originalDestination);
    if (known.profile?.isOpaque === true) {
      this.#count("opaq", known);
      await this.#opaque(from, known, known.opaqueRoute, release);
      return;
    }
    switch (protocol.kind) {
      case "http1":
        this.#count("http/1", known);
        this.#http(from, "http1", accepted, known, release);
        return;
      case "http2":
      case "grpc":
        this.#count("http/2", known);
        this.#http(from, "http2", accepted, known, release);
        return;
      case "opaque":
        this.#count("opaq", known);
        await this.#opaque(from, known, known.opaqueRoute, release);
        return;
      case "tls": {
        this.#count("tls", known);
        const { detectTimeoutMs: timeoutMs } = this.#config;
        const detected = await detectTls(from, { serverName: undefined, timeoutMs });
        const sni = detected.kind === "none" ? undefined : detected.serverName;
        const route = sni === undefined ? undefined : new SniRoutes(protocol.routes).find(sni);
        await this.#opaque(detected.socket, known, route, release);
        return;
      }
      case "detect": {
        this.#count("detect", known);
        const detected = await this.#detect(from, portedLabels("parent", parent));
        if (detected.version === undefined) {
          await this.#opaque(detected.socket, known, known.opaqueRoute, release);
        } else {
          this.#http(detected.socket, detected.version, accepted, known, release);
        }
      }
    }
  }

  async #detect(
    socket: Socket,
    labels: Labels,
  ): Promise<{ readonly version: StackVersion | undefined; readonly socket: Socket }> {
    const { detections, detectionSeconds } = this.#metrics;
    for (const result of DETECT_RESULTS) detections.with({ result, ...labels });
    const startedMs = this.#runtime.clock.nowMs();
    try {
      const detected = await detectHttp(socket, this.#config.detectTimeoutMs);
      detections.with({ result: RESULT_OF[detected.value], ...labels }).inc();
      const seconds = (this.#runtime.clock.nowMs() - startedMs) / 1_000;
      detectionSeconds.with(labels).observe(seconds);
      const version =
        detected.value === "http1" || detected.value === "http2" ? detected.value : undefined;
      return { version, socket: detected.socket };
    } catch (error) {
      detections.with({ result: "error", ...labels }).inc();
      throw error;
    }
  }

  #http(
    socket: Socket,
    version: StackVersion,
    accepted: From,
    known: KnownTarget,
    release: () => void,
  ): void {
    const runtime = this.#runtime;
    const config = this.#config;
    serveHttp(socket, known.http(version), {
      version,
      http2: config.http2Server,
      edge: {
        clock: runtime.clock,
        records: runtime.records,
        log: this.#log,
        observer: this.#observer,
        maxInFlight: config.maxInFlight,
        defaultAuthority: defaultAuthority(known),
      },
      client: clientOf(accepted),
      tellsWhy: !config.hidesErrors,
      connections: this.#connections,
      runtime,
      onClose: release,
    });
  }

  async #opaque(
    socket: Socket,
    known: KnownTarget,
    route: TcpRoute | undefined,
    release: () => void,
  ): Promise<void> {
    let remove: (() => void) | undefined;
    let isClosed = false;
    const closed = Promise.withResolvers<void>();
    const joined = await known.tcp().forward(socket, route, known.policy.parent, () => {
      isClosed = true;
      remove?.();
      release();
      closed.resolve();
    });
    if (isClosed) return;
    remove = this.#connections.add({
      // Nobody can tell opaque streams to end: they are waited for, and then cut off.
      close: async (graceMs) => {
        const timer = setTimeout(() => joined.destroy(stopping()), graceMs);
        await closed.promise;
        clearTimeout(timer);
      },
    });
  }

  #measure(socket: Socket, destination: SocketAddress): Socket {
    const labels = {
      direction: "outbound",
      peer: "src",
      ...targetLabels(destination.ip, destination.port),
      tls: "no_identity",
      no_tls_reason: "loopback",
    };
    return this.#transport.bind(labels).measure(socket);
  }

  #count(protocol: string, known: KnownTarget): void {
    const labels = portedLabels("parent", known.policy.parent);
    this.#metrics.protocols.with({ protocol, ...labels }).inc();
  }

  #fail(socket: Socket, target: Target, error: MeshError): void {
    const labels = target.kind === "address" ? targetLabels(target.ip, target.port) : {};
    const where = target.kind === "address" ? target.ip : target.name;
    this.#metrics.tcpErrors.with({ ...labels, error: errorKind(error) }).inc();
    this.#log.info("Connection closed", { target: where, port: target.port, error: error.message });
    socket.destroy();
  }

  /** Whether a connection would come back to one of our own listeners. */
  #isOwn(target: SocketAddress): boolean {
    return this.listeners.some(
      ({ address }) =>
        address.port === target.port &&
        (address.ip === target.ip || address.ip === "0.0.0.0" || address.ip === "::") &&
        (address.ip === target.ip || this.#runtime.ownIps.has(target.ip)),
    );
  }
}

/** Listens, and takes connections at once. */
export async function startOutbound(
  config: OutboundConfig,
  runtime: Runtime,
  options: OutboundOptions = {},
): Promise<Outbound> {
  const transport = options.transport ?? new TransportFamilies(runtime.metrics);
  const outbound = new Outbound(config, runtime, transport);
  await outbound.listen(options.destination ?? REDIRECTED);
  outbound.accept();
  return outbound;
}

/** Without a NAT entry nobody knows where an outbound connection wanted to go. */
export const REDIRECTED: DestinationSource = { kind: "redirected", otherwise: "refuse" };

const DETECT_RESULTS = ["not_http", "http/1", "http/2", "read_timeout", "error"];
const RESULT_OF = {
  http1: "http/1",
  http2: "http/2",
  not_http: "not_http",
  timeout: "read_timeout",
} as const;

function addressTarget({ ip, port }: SocketAddress): Target {
  return { kind: "address", ip, port };
}

function clientOf({ clientAddress }: From): ClientInfo {
  return { ip: clientAddress.ip, port: clientAddress.port, tlsId: undefined };
}

function defaultAuthority({ name, profile }: KnownTarget): string {
  const port = name.slice(name.lastIndexOf(":") + 1);
  const authority = profile?.name === undefined ? name : `${profile.name}:${port}`;
  return authority.endsWith(":80") ? authority.slice(0, -3) : authority;
}

/** What to do about a loop. */
const EXEMPT = "exempt the proxy's user from redirection (heddle init --proxy-uid)";

function loop(target: Target, why: string): MeshError {
  return new MeshError("loop", "client", `Cannot forward connection: ${targetPath(target)} ${why}`);
}

function stopping(): MeshError {
  return new MeshError("shutdown_grace", "self", "Cannot go on: the proxy stops");
}

/** What goes wrong on the outbound side, counted and, for those who ask, logged. */
class OutboundObserver implements EdgeObserver {
  readonly #metrics: OutboundMetrics;
  readonly #log: Log;

  constructor(metrics: OutboundMetrics, log: Log) {
    this.#metrics = metrics;
    this.#log = log;
  }

  failed(error: MeshError, _record: RequestRecord): void {
    if (UNCOUNTED.has(error.code)) return;
    this.#metrics.httpErrors.with({ error: errorKind(error) }).inc();
  }

  ended(record: RequestRecord): void {
    if (!this.#log.debug) return;
    const { method, authority, path, status, error, reason, endpoint, attempts } = record;
    this.#log.debug("request", {
      method,
      authority,
      path,
      status,
      error,
      reason,
      endpoint,
      attempts,
    });
  }
}

/** Answers that a policy asks for are no errors of the proxy. */
const UNCOUNTED: ReadonlySet<string> = new Set(["redirected", "injected_http", "injected_grpc"]);

/** The `error` label of `outbound_http_errors_total` and its like. */
function errorKind(error: MeshError): string {
  switch (error.code) {
    case "load_shed":
      return "loadshed";
    case "fail_fast":
      return "failfast";
    case "identity_required":
      return "identity required";
    case "profile_timeout":
    case "request_timeout":
    case "response_headers_timeout":
    case "response_stream_timeout":
    case "idle_timeout":
      return "response timeout";
    default:
      return /^(connect|connection|io)_/.test(error.code) ? "i/o" : "unexpected";
  }
}
