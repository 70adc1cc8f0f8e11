import type { MeshError } from "@heddle/base/errors";
import type { HttpService } from "@heddle/net/http";
import { serveHttp1 } from "@heddle/net/http1/server";
import type { Http2ServerOptions } from "@heddle/net/http2/options";
import { serveHttp2 } from "@heddle/net/http2/server";
import type { Socket } from "@heddle/net/transport";
import type { Connections, Served } from "../connections.ts";
import type { ClientInfo } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import type { Http2ServerConfig } from "./config.ts";
import { type EdgeOptions, ServerEdge } from "./edge.ts";

export interface ServeHttpOptions {
  readonly version: "http1" | "http2";
  readonly http2: Http2ServerConfig;
  readonly edge: EdgeOptions;
  readonly client: ClientInfo;
  /** Whether this client may read why a request failed. */
  readonly tellsWhy: boolean;
  readonly connections: Connections;
  readonly runtime: Runtime;
  /** As in `serveHttp1`; of HTTP/1 alone. */
  readonly halfClose?: boolean;
  /** Once, when the connection is closed. */
  readonly onClose?: (error: MeshError | undefined) => void;
}

/** After a fatal error a client's connection may finish what else is under way for so long. */
const DRAIN_GRACE_MS = 120_000;

/** Serves HTTP on one client connection, behind an edge of its own. */
export function serveHttp(socket: Socket, inner: HttpService, options: ServeHttpOptions): Served {
  const { version, client, tellsWhy, connections, runtime } = options;
  const drain = (): void => void served.close(DRAIN_GRACE_MS);
  const edge = new ServerEdge(inner, options.edge, { client, tellsWhy, drain });
  const onClose = (error: MeshError | undefined): void => {
    remove();
    options.onClose?.(error);
  };
  const served: Served =
    version === "http1"
      ? serveHttp1(socket, edge, {
          runtime: runtime.http1,
          onClose,
          ...(options.halfClose === undefined ? {} : { halfClose: options.halfClose }),
        })
      : serveHttp2(socket, edge, { ...http2Options(options.http2, runtime), onClose });
  const remove = connections.add(served);
  return served;
}

function http2Options(config: Http2ServerConfig, runtime: Runtime): Http2ServerOptions {
  const { keepAliveIntervalMs, keepAliveTimeoutMs } = config;
  return {
    runtime: runtime.http2,
    adaptiveFlowControl: config.isAdaptive,
    ...defined("initialStreamWindowBytes", config.streamWindowBytes),
    ...defined("initialConnectionWindowBytes", config.connectionWindowBytes),
    ...defined("maxConcurrentStreams", config.maxConcurrentStreams),
    ...defined("maxFrameBytes", config.maxFrameBytes),
    ...defined("maxHeaderListBytes", config.maxHeaderListBytes),
    ...defined("maxSendBufferBytes", config.maxSendBufferBytes),
    ...(config.maxPendingResets === undefined
      ? {}
      : { budgets: { pendingResets: config.maxPendingResets } }),
    ...(keepAliveIntervalMs === undefined || keepAliveTimeoutMs === undefined
      ? {}
      : { keepAliveIntervalMs, keepAliveTimeoutMs }),
  };
}

function defined<K extends string>(name: K, value: number | undefined): { [P in K]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { [P in K]: number });
}
