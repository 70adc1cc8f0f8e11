import { MeshError, messageOf } from "@heddle/base/errors";
import type { Client } from "@heddle/model/authorization";
import { parseIp } from "@heddle/model/network";
import {
  type Accepted,
  type DestinationSource,
  type Listener,
  startListener,
} from "@heddle/net/listener";
import { detectTls, type TlsDetection } from "@heddle/net/tls-detect";
import { TlsTerminator } from "@heddle/net/tls-server";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { readTransportHeader } from "@heddle/net/transport-header";
import { TRANSPORT_PROTOCOL } from "@heddle/wire/transport-header/transport-header";
import { clientIdentity, parseLeaf } from "@heddle/wire/x509/leaf";
import { Connections } from "../connections.ts";
import type { EdgeObserver } from "../http/edge.ts";
import { targetLabels } from "../http/metrics.ts";
import { logEnd } from "../http/request-log.ts";
import { serveHttp } from "../http/serve.ts";
import type { ClientInfo } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { detectHttp } from "../tcp/detect-http.ts";
import type { TransportFamilies, TransportMetrics } from "../tcp/transport-metrics.ts";
import { AppClients } from "./app-client.ts";
import type { InboundConfig } from "./config.ts";
import { forward } from "./forward.ts";
import { newInboundHttp } from "./http.ts";
import { type InboundMetrics, inboundErrorLabel, serverLabels, type TlsLabels } from "./metrics.ts";
import type { InboundProtocol } from "./policy.ts";
import type { PortPolicies, PortPolicy } from "./port-policies.ts";

export interface InboundOptions {
  readonly config: InboundConfig;
  readonly runtime: Runtime;
  readonly policies: PortPolicies;
  readonly transport: TransportFamilies;
  readonly metrics: InboundMetrics;
  /** How connections learn where they were going. Default: the NAT entry, or their own address. */
  readonly destination?: DestinationSource;
}

/** The inbound side, once its listener is up. */
export interface Inbound {
  readonly address: SocketAddress;
  /** Stops accepting, and lets what is open finish. */
  close(graceMs: number): Promise<void>;
}

/** A connection whose TLS is known. */
interface Arrived {
  readonly socket: Socket;
  /** Where the application is. */
  readonly app: SocketAddress;
  readonly policy: PortPolicy;
  readonly clientInfo: ClientInfo;
  readonly client: Client;
  readonly tls: TlsLabels;
  /** A ClientHello was seen, ours or another's. */
  readonly hasHello: boolean;
}

/** Binds the inbound port. Connections wait in its backlog until `identity.ready`. */
export async function startInbound(options: InboundOptions): Promise<Inbound> {
  return await new InboundSide(options).start();
}

class InboundSide implements Inbound {
  readonly #config: InboundConfig;
  readonly #runtime: Runtime;
  readonly #policies: PortPolicies;
  readonly #metrics: InboundMetrics;
  readonly #transport: TransportFamilies;
  readonly #toApp: TransportMetrics;
  readonly #clients: AppClients;
  readonly #connections = new Connections();
  /** For connections to ports of the application: no ALPN. */
  readonly #terminator: TlsTerminator;
  /** For connections to the inbound port itself. */
  readonly #directTerminator: TlsTerminator;
  readonly #destination: DestinationSource;
  #listener: Listener | undefined;

  constructor(options: InboundOptions) {
    const { config, runtime, policies, transport, metrics } = options;
    this.#destination = options.destination ?? { kind: "redirected", otherwise: "own" };
    this.#config = config;
    this.#runtime = runtime;
    this.#policies = policies;
    this.#metrics = metrics;
    this.#transport = transport;
    this.#toApp = transport.bind({
      direction: "inbound",
      peer: "dst",
      tls: "no_identity",
      no_tls_reason: "loopback",
    });
    this.#clients = new AppClients(config, runtime, this.#toApp);
    const { identity, guard, clock } = runtime;
    const terminator = { credentials: identity.credentials, guard, clock };
    this.#terminator = new TlsTerminator(terminator);
    this.#directTerminator = new TlsTerminator({ ...terminator, alpn: [TRANSPORT_PROTOCOL] });
  }

  async start(): Promise<Inbound> {
    const { listen, accept } = this.#config;
    const { log, guard, identity } = this.#runtime;
    const listener = await startListener(
      {
        at: { ip: listen.host, port: listen.port },
        destination: this.#destination,
        backlog: accept.backlog,
        keepAliveMs: accept.keepAliveMs,
        userTimeoutMs: accept.userTimeoutMs,
        log,
        guard,
      },
      (socket, accepted) => void this.#accept(socket, accepted),
    );
    this.#listener = listener;
    listener.pause();
    void identity.ready.then(() => listener.resume());
    return this;
  }

  get address(): SocketAddress {
    return this.#listener!.address;
  }

  async close(graceMs: number): Promise<void> {
    await this.#listener?.close();
    await this.#connections.close(graceMs);
    this.#clients.close();
  }

  /** Every way in ends here if it fails: one line, one count, and the connection is gone. */
  async #accept(socket: Socket, accepted: Accepted): Promise<void> {
    const { ip, port } = accepted.originalDestination;
    try {
      if (this.#config.ips?.has(ip) === false) {
        const message = `Cannot accept connection: ${ip} is not an address of ours`;
        throw new MeshError("not_our_address", "client", message);
      }
      const isDirect = port === this.#listener!.address.port;
      if (isDirect) await this.#direct(socket, accepted);
      else await this.#arrive(socket, accepted);
    } catch (error) {
      socket.destroy();
      if (!(error instanceof MeshError)) {
        this.#runtime.guard.report(error);
        return;
      }
      const { ip: client } = accepted.clientAddress;
      this.#runtime.log.info("Connection closed", { client, error: messageOf(error) });
      if (error.code === "unauthorized") return;
      const labels = { error: inboundErrorLabel(error.code), ...targetLabels(ip, port) };
      this.#metrics.tcpErrors.with(labels).inc();
    }
  }

  /** A connection to a port of the application. */
  async #arrive(socket: Socket, accepted: Accepted): Promise<void> {
    const { originalDestination: app } = accepted;
    const policy = this.#policies.get(app.port);
    if (policy.isOpaque) {
      const tls = { tls: "no_identity", no_tls_reason: "port_skipped" };
      await this.#forward(this.#arrived(socket, accepted, app, policy, undefined, tls, false));
      return;
    }
    const { detectTimeoutMs: timeoutMs } = this.#config;
    const detected = await this.#detectTls(socket, policy);
    if (detected.kind === "mesh") {
      const secure = await this.#terminator.terminate(detected.socket, timeoutMs);
      const tlsId = provedId(secure);
      const tls = { tls: "true", client_id: tlsId ?? "" };
      await this.#serve(this.#arrived(secure, accepted, app, policy, tlsId, tls, true));
      return;
    }
    const reason = policy.isOpaque ? "port_skipped" : "no_tls_from_remote";
    const tls: TlsLabels =
      detected.kind === "passthru"
        ? { tls: "opaque", sni: detected.serverName }
        : { tls: "no_identity", no_tls_reason: reason };
    const hasHello = detected.kind === "passthru";
    await this.#serve(
      this.#arrived(detected.socket, accepted, app, policy, undefined, tls, hasHello),
    );
  }

  /** Looks for TLS, unless the port becomes opaque meanwhile: then nobody may wait for the client. */
  async #detectTls(socket: Socket, policy: PortPolicy): Promise<TlsDetection> {
    const { serverName } = this.#runtime.identity;
    const { detectTimeoutMs: timeoutMs } = this.#config;
    using opaque = policy.untilOpaque();
    return await detectTls(socket, { serverName, timeoutMs, stop: opaque.signal });
  }

  /** A connection to the inbound port itself: mutual TLS and a transport header, or nothing. */
  async #direct(socket: Socket, accepted: Accepted): Promise<void> {
    const { identity } = this.#runtime;
    const { detectTimeoutMs: timeoutMs } = this.#config;
    const detected = await detectTls(socket, { serverName: identity.serverName, timeoutMs });
    if (detected.kind !== "mesh") {
      throw refused("direct connections must be mutually authenticated", detected.socket);
    }
    const secure = await this.#directTerminator.terminate(detected.socket, timeoutMs);
    const tlsId = provedId(secure);
    if (tlsId === undefined) {
      throw refused("direct connections must be mutually authenticated", secure);
    }
    if (secure.tls?.alpn !== TRANSPORT_PROTOCOL) {
      throw refused(`direct connections must negotiate ${TRANSPORT_PROTOCOL}`, secure);
    }
    const { header, socket: inner } = await readTransportHeader(secure, timeoutMs);
    if (header === undefined) {
      throw refused("direct connections must begin with a transport header", inner);
    }
    const { port, name, protocol } = header;
    this.#metrics.transportHeaders
      .with({
        session_protocol: protocol === undefined ? "" : protocol.replace("http", "http/"),
        target_port: String(port),
        target_name: name ?? "",
        client_id: tlsId,
      })
      .inc();
    if (name !== undefined && name !== "") {
      throw refused(`this proxy is no gateway, and was asked for ${name}`, inner);
    }
    const app = { ip: accepted.originalDestination.ip, port };
    const policy = this.#policies.get(port);
    const tls = { tls: "true", client_id: tlsId };
    const arrived = this.#arrived(inner, accepted, app, policy, tlsId, tls, true);
    if (protocol === undefined) await this.#forward(arrived);
    else this.#http(arrived, inner, protocol);
  }

  #arrived(
    socket: Socket,
    { clientAddress }: Accepted,
    app: SocketAddress,
    policy: PortPolicy,
    tlsId: string | undefined,
    tls: TlsLabels,
    hasHello: boolean,
  ): Arrived {
    const clientInfo = { ip: clientAddress.ip, port: clientAddress.port, tlsId };
    const ip = parseIp(clientAddress.ip);
    if (ip === undefined) {
      const message = `Cannot accept connection: "${clientAddress.ip}" is no address`;
      throw new MeshError("bad_client_address", "self", message);
    }
    const client: Client = { ip, tls: tls["tls"] === "true", tlsId };
    return { socket, app, policy, clientInfo, client, tls, hasHello };
  }

  /** What the policy says now decides what is looked for: it may have changed since the accept. */
  async #serve(arrived: Arrived): Promise<void> {
    const { policy, socket, hasHello } = arrived;
    const how = serving(policy.current.protocol, hasHello);
    if (how === "forward") return await this.#forward(arrived);
    if (how !== "detect") return this.#http(arrived, socket, how);
    const { server, detectTimeoutMs } = policy.current;
    const isHttp1 = policy.current.protocol === "http1";
    const timeoutMs = isHttp1 ? this.#config.detectTimeoutMs : detectTimeoutMs;
    const startedMs = this.#runtime.clock.nowMs();
    const srv = serverLabels(server, arrived.app.port);
    const results = this.#detections(srv);
    let detected: Awaited<ReturnType<typeof detectHttp>>;
    try {
      using opaque = policy.untilOpaque();
      detected = await detectHttp(socket, timeoutMs, opaque.signal);
      if (opaque.signal.aborted) {
        return await this.#forward({ ...arrived, socket: detected.socket });
      }
    } catch (error) {
      results.with({ result: "error", ...srv }).inc();
      throw error;
    }
    const seconds = (this.#runtime.clock.nowMs() - startedMs) / 1_000;
    this.#metrics.detectionSeconds.with(srv).observe(seconds);
    const { value } = detected;
    results.with({ result: DETECT_RESULTS[value], ...srv }).inc();
    if (value === "http1" || value === "http2") this.#http(arrived, detected.socket, value);
    else if (value === "timeout" && isHttp1) this.#http(arrived, detected.socket, "http1");
    else await this.#forward({ ...arrived, socket: detected.socket });
  }

  #http(arrived: Arrived, socket: Socket, version: "http1" | "http2"): void {
    const { app, policy, client, clientInfo, tls } = arrived;
    const metrics = this.#metrics.target(app.ip, app.port, tls);
    const appClient = this.#clients.get(app);
    const target = { app, policy, client, clientInfo, metrics, appClient };
    const observer: EdgeObserver = {
      failed: (error) => {
        if (POLICY_REFUSALS.has(error.code)) return;
        metrics.httpError(policy.current.server, inboundErrorLabel(error.code));
      },
      ended: (record) => logEnd(this.#runtime.log, "inbound", record),
    };
    policy.hold();
    serveHttp(this.#measured(socket, arrived), newInboundHttp(target, this.#runtime), {
      version,
      http2: this.#config.http2Server,
      edge: {
        clock: this.#runtime.clock,
        records: this.#runtime.records,
        log: this.#runtime.log,
        observer,
        maxInFlight: this.#config.maxInFlight,
        defaultAuthority: "",
      },
      client: clientInfo,
      tellsWhy: clientInfo.tlsId !== undefined,
      connections: this.#connections,
      runtime: this.#runtime,
      onClose: () => {
        policy.release();
        this.#clients.release(app);
      },
    });
  }

  async #forward(arrived: Arrived): Promise<void> {
    const { app, policy, client, clientInfo, tls, socket } = arrived;
    const clientText = clientInfo.tlsId ?? `${clientInfo.ip} without identity`;
    await forward(this.#measured(socket, arrived), {
      app,
      policy,
      client,
      clientText,
      metrics: this.#metrics.target(app.ip, app.port, tls),
      config: this.#config,
      runtime: this.#runtime,
      connections: this.#connections,
      toApp: this.#toApp,
    });
  }

  #measured(socket: Socket, { app, policy, tls }: Arrived): Socket {
    const { server } = policy.current;
    const labels = {
      direction: "inbound",
      peer: "src",
      ...targetLabels(app.ip, app.port),
      ...tls,
      ...serverLabels(server, app.port),
    };
    return this.#transport.bind(labels).measure(socket);
  }

  /** All results have their series as soon as a server is seen. */
  #detections(srv: Readonly<Record<string, string>>): InboundMetrics["detections"] {
    const { detections } = this.#metrics;
    for (const result of Object.values(DETECT_RESULTS)) detections.with({ result, ...srv });
    detections.with({ result: "error", ...srv });
    return detections;
  }
}

const DETECT_RESULTS = {
  not_http: "not_http",
  http1: "http/1",
  http2: "http/2",
  timeout: "read_timeout",
} as const;

/** Refusals by policy have families of their own. */
const POLICY_REFUSALS: ReadonlySet<string> = new Set(["unauthorized", "no_route", "rate_limited"]);

/** What a protocol makes of a connection whose TLS is known: `proxy-behaviour` 5. */
function serving(
  protocol: InboundProtocol,
  hasHello: boolean,
): "forward" | "detect" | "http1" | "http2" {
  switch (protocol) {
    case "tls":
    case "opaque":
      return "forward";
    case "http2":
    case "grpc":
      return "http2";
    case "http1":
      return hasHello ? "detect" : "http1";
    case "detect":
      return "detect";
  }
}

/** The client's id, if it proved one. */
function provedId(socket: Socket): string | undefined {
  const leaf = socket.tls?.peerLeaf;
  if (leaf === undefined || socket.tls?.isAuthorized !== true) return undefined;
  return clientIdentity(parseLeaf(leaf));
}

function refused(why: string, socket: Socket): MeshError {
  const error = new MeshError("direct_refused", "client", `Cannot accept connection: ${why}`);
  socket.destroy(error);
  return error;
}
