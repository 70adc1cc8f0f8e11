import { MeshError, messageOf } from "@heddle/base/errors";
import type { Client } from "@heddle/model/authorization";
import { parseIp } from "@heddle/model/network";
import { type Accepted, type Listener, startListener } from "@heddle/net/listener";
import { detectTls } from "@heddle/net/tls-detect";
import { TlsTerminator } from "@heddle/net/tls-server";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import { clientIdentity, parseLeaf } from "@heddle/wire/x509/leaf";
import { Connections } from "../connections.ts";
import { formatSocket } from "../discovery/endpoint.ts";
import type { HostPort } from "../env-values.ts";
import type { Http2ServerConfig } from "../http/config.ts";
import { targetLabels } from "../http/metrics.ts";
import { serveHttp } from "../http/serve.ts";
import { Admission } from "../inbound/admission.ts";
import { MeasuredApp } from "../inbound/app-exchange.ts";
import { ClientIdHeader } from "../inbound/client-id.ts";
import { type InboundMetrics, serverLabels, type TlsLabels } from "../inbound/metrics.ts";
import type { PortPolicies } from "../inbound/port-policies.ts";
import type { Runtime } from "../runtime.ts";
import type { SocketConfig } from "../tcp/config.ts";
import { detectHttp } from "../tcp/detect-http.ts";
import type { TransportFamilies } from "../tcp/transport-metrics.ts";
import type { AdminRoutes } from "./routes.ts";

export interface AdminOptions {
  readonly listen: HostPort;
  readonly accept: SocketConfig;
  readonly routes: AdminRoutes;
  readonly policies: PortPolicies;
  readonly metrics: InboundMetrics;
  readonly transport: TransportFamilies;
  readonly runtime: Runtime;
}

export interface Admin {
  readonly address: SocketAddress;
  close(graceMs: number): Promise<void>;
}

/** Of either detection. */
const DETECT_MS = 1_000;
const MAX_IN_FLIGHT = 1_000;

const HTTP2: Http2ServerConfig = {
  isAdaptive: false,
  streamWindowBytes: undefined,
  connectionWindowBytes: undefined,
  keepAliveIntervalMs: undefined,
  keepAliveTimeoutMs: undefined,
  maxConcurrentStreams: undefined,
  maxFrameBytes: undefined,
  maxHeaderListBytes: undefined,
  maxPendingResets: undefined,
  maxSendBufferBytes: undefined,
};

/**
 * Serves the admin port, from before there is a certificate: plaintext, or TLS to our own name once
 * there is one. Requests are admitted by the policy of this port like any inbound one.
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { runtime, policies, metrics, transport, listen, accept } = options;
  const { identity, guard, clock, log } = runtime;
  const terminator = new TlsTerminator({ credentials: identity.credentials, guard, clock });
  const connections = new Connections();

  async function serve(socket: Socket, { clientAddress }: Accepted): Promise<void> {
    const { ip: own, port } = listener.address;
    const detected = await detectTls(socket, {
      serverName: identity.serverName,
      timeoutMs: DETECT_MS,
    });
    const isMesh = detected.kind === "mesh";
    const plain = isMesh ? await terminator.terminate(detected.socket, DETECT_MS) : detected.socket;
    const leaf = plain.tls?.peerLeaf;
    const tlsId = leaf === undefined ? undefined : clientIdentity(parseLeaf(leaf));
    const { value, socket: ready } = await detectHttp(plain, DETECT_MS);
    if (value === "not_http") {
      throw new MeshError("not_http", "client", "Cannot serve admin connection: it is not HTTP");
    }
    const timedOut = isMesh ? "http2" : "http1";
    const clientInfo = { ip: clientAddress.ip, port: clientAddress.port, tlsId };
    const client: Client = { ip: parseIp(clientAddress.ip)!, tls: isMesh, tlsId };
    const tls: TlsLabels = isMesh
      ? { tls: "true", client_id: tlsId ?? "" }
      : { tls: "no_identity", no_tls_reason: "no_tls_from_remote" };
    const target = metrics.target(own, port, tls);
    const who = tlsId ?? `${clientAddress.ip} without identity`;
    const policy = policies.get(port);
    const routes = new MeasuredApp(options.routes, clock, formatSocket(own, port));
    const admission = new Admission(routes, policy, client, who, target, runtime);
    const labels = {
      direction: "inbound",
      peer: "src",
      ...targetLabels(own, port),
      ...tls,
      ...serverLabels(policy.current.server, port),
    };
    policy.hold();
    serveHttp(transport.bind(labels).measure(ready), new ClientIdHeader(admission, tlsId), {
      version: value === "timeout" ? timedOut : value,
      http2: HTTP2,
      edge: {
        clock,
        records: runtime.records,
        log,
        observer: { failed: () => {}, ended: () => {} },
        maxInFlight: MAX_IN_FLIGHT,
        defaultAuthority: "",
      },
      client: clientInfo,
      tellsWhy: tlsId !== undefined,
      connections,
      runtime,
      // Whoever has closed reads no log any more.
      halfClose: false,
      onClose: () => policy.release(),
    });
  }

  const listener: Listener = await startListener(
    {
      at: { ip: listen.host, port: listen.port },
      backlog: accept.backlog,
      keepAliveMs: accept.keepAliveMs,
      userTimeoutMs: accept.userTimeoutMs,
      log,
      guard,
    },
    (socket, accepted) => {
      serve(socket, accepted).catch((error: unknown) => {
        socket.destroy();
        if (!(error instanceof MeshError)) guard.report(error);
        else log.debug?.("admin connection closed", { error: messageOf(error) });
      });
    },
  );
  return {
    address: listener.address,
    close: async (graceMs) => {
      await listener.close();
      options.routes.close();
      await connections.close(graceMs);
    },
  };
}
