import type { MeshError } from "@heddle/base/errors";
import { MAX_MAX_FRAME_BYTES, MAX_WINDOW, MIN_MAX_FRAME_BYTES } from "@heddle/wire/http2/frame";
import { DEFAULT_BUDGETS, type Http2Budgets } from "./budget.ts";
import { DEFAULT_RUNTIME, type Http2Runtime } from "./runtime.ts";

/** Of both sides. What is left out has Linkerd's default. */
export interface Http2Options {
  /** Bytes that the peer may send on one stream before we have passed them on. Default 65,535. */
  readonly initialStreamWindowBytes?: number;
  /** The same for all streams together. Default 1 MiB. */
  readonly initialConnectionWindowBytes?: number;
  /** Windows for long fat networks, in place of the two above. Default false. */
  readonly adaptiveFlowControl?: boolean;
  /** The largest frame that the peer may send. Default 16,384. */
  readonly maxFrameBytes?: number;
  /** The largest field section that we take, as decoded, 32 bytes more per field. Default 16 KiB. */
  readonly maxHeaderListBytes?: number;
  /**
   * What a sender that ignores `pause` may leave on us per stream; what is above, by one chunk,
   * aborts the stream. Default 1 MiB.
   */
  readonly maxSendBufferBytes?: number;
  /** Both or none: PING when nothing came for the interval, give up after the timeout. */
  readonly keepAliveIntervalMs?: number;
  readonly keepAliveTimeoutMs?: number;
  /** Default: true for a server, false for a client. */
  readonly keepAliveWhileIdle?: boolean;
  /**
   * A peer that takes none of our data for so long, while some waits, is disconnected. Default
   * 5 minutes; 0 for never.
   */
  readonly sendStallTimeoutMs?: number;
  readonly budgets?: Partial<Http2Budgets>;
  readonly runtime?: Http2Runtime;
  /** Once, last. Undefined if the connection ended in good order. */
  readonly onClose?: (error: MeshError | undefined) => void;
}

export interface Http2ServerOptions extends Http2Options {
  /** Default: no limit is announced. */
  readonly maxConcurrentStreams?: number;
}

export interface Http2ClientOptions extends Http2Options {
  /** Requests that wait because the peer allows no more streams. Default 10,000. */
  readonly maxQueuedRequests?: number;
  /** Once, when the connection takes no more requests, because of GOAWAY, `close` or its end. */
  readonly onDraining?: () => void;
}

/** `Http2Options` with everything filled in. */
export interface Http2Limits {
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly maxFrameBytes: number;
  readonly maxHeaderListBytes: number;
  readonly maxSendBufferBytes: number;
  readonly keepAliveIntervalMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly keepAliveWhileIdle: boolean;
  readonly sendStallTimeoutMs: number;
  readonly budgets: Http2Budgets;
  readonly runtime: Http2Runtime;
}

const ADAPTIVE_STREAM_WINDOW_BYTES = 2_097_152;
const ADAPTIVE_CONNECTION_WINDOW_BYTES = 8_388_608;

export function limitsOf(options: Http2Options, isServer: boolean): Http2Limits {
  const adaptive = options.adaptiveFlowControl ?? false;
  const stream = adaptive ? ADAPTIVE_STREAM_WINDOW_BYTES : options.initialStreamWindowBytes;
  const connection = adaptive
    ? ADAPTIVE_CONNECTION_WINDOW_BYTES
    : options.initialConnectionWindowBytes;
  const hasKeepAlive =
    options.keepAliveIntervalMs !== undefined && options.keepAliveTimeoutMs !== undefined;
  return {
    streamWindowBytes: clamp(stream ?? 65_535, 1, MAX_WINDOW),
    // It cannot be made smaller than the protocol's own 65,535, only larger.
    connectionWindowBytes: clamp(connection ?? 1_048_576, 65_535, MAX_WINDOW),
    maxFrameBytes: clamp(
      options.maxFrameBytes ?? MIN_MAX_FRAME_BYTES,
      MIN_MAX_FRAME_BYTES,
      MAX_MAX_FRAME_BYTES,
    ),
    maxHeaderListBytes: options.maxHeaderListBytes ?? 16_384,
    maxSendBufferBytes: options.maxSendBufferBytes ?? 1_048_576,
    keepAliveIntervalMs: hasKeepAlive ? options.keepAliveIntervalMs! : 0,
    keepAliveTimeoutMs: hasKeepAlive ? options.keepAliveTimeoutMs! : 0,
    keepAliveWhileIdle: options.keepAliveWhileIdle ?? isServer,
    sendStallTimeoutMs: options.sendStallTimeoutMs ?? 300_000,
    budgets: { ...DEFAULT_BUDGETS, ...options.budgets },
    runtime: options.runtime ?? DEFAULT_RUNTIME,
  };
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}
