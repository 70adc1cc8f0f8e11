import type { Env } from "@heddle/base/env";
import { boolean, duration, integer, u32 } from "../env-values.ts";

/** Settings of HTTP/2 servers; undefined: the defaults of `net/http2`. */
export interface Http2ServerConfig {
  readonly isAdaptive: boolean;
  readonly streamWindowBytes: number | undefined;
  readonly connectionWindowBytes: number | undefined;
  readonly keepAliveIntervalMs: number | undefined;
  readonly keepAliveTimeoutMs: number | undefined;
  readonly maxConcurrentStreams: number | undefined;
  readonly maxFrameBytes: number | undefined;
  readonly maxHeaderListBytes: number | undefined;
  readonly maxPendingResets: number | undefined;
  readonly maxSendBufferBytes: number | undefined;
}

/** @param base - `LINKERD2_PROXY_INBOUND_SERVER_HTTP2` or its outbound twin. */
export function loadHttp2Server(env: Env, base: string): Http2ServerConfig {
  const name = (suffix: string): string => `${base}_${suffix}`;
  const isAdaptive = env.read(name("ADAPTIVE_FLOW_CONTROL"), boolean, false);
  const stream = env.read(name("INITIAL_STREAM_WINDOW_SIZE"), u32, undefined);
  const connection = env.read(name("INITIAL_CONNECTION_WINDOW_SIZE"), u32, undefined);
  const isFixed = !isAdaptive && stream !== undefined && connection !== undefined;
  return {
    isAdaptive,
    streamWindowBytes: isFixed ? stream : undefined,
    connectionWindowBytes: isFixed ? connection : undefined,
    keepAliveIntervalMs: env.read(name("KEEP_ALIVE_INTERVAL"), duration, undefined),
    keepAliveTimeoutMs: env.read(name("KEEP_ALIVE_TIMEOUT"), duration, undefined),
    maxConcurrentStreams: env.read(name("MAX_CONCURRENT_STREAMS"), u32, undefined),
    maxFrameBytes: env.read(name("MAX_FRAME_SIZE"), u32, undefined),
    maxHeaderListBytes: env.read(name("MAX_HEADER_LIST_SIZE"), u32, undefined),
    maxPendingResets: env.read(name("MAX_PENDING_ACCEPT_RESET_STREAMS"), integer, undefined),
    maxSendBufferBytes: env.read(name("MAX_SEND_BUF_SIZE"), integer, undefined),
  };
}
