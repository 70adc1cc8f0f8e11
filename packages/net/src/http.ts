import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";

/** The version that a message was sent with, or shall be sent with. */
export type HttpVersion = "1.0" | "1.1" | "2";

/** A request without its body. Layers change it in place; whoever needs the original clones it. */
export interface RequestHead {
  method: string;
  /** `http` or `https`; empty if the request did not say. */
  scheme: string;
  /** `host[:port]` of an absolute-form target or of `:authority`; empty if there was none. */
  authority: string;
  /** Path and query, or `*`; empty for CONNECT. */
  path: string;
  version: HttpVersion;
  /** Never pseudo-headers. `host` is a plain field here. */
  headers: HeaderMap;
  /** HTTP/1: the target was, and shall be, in absolute form. */
  absoluteForm: boolean;
  /**
   * A CONNECT or an HTTP/1.1 upgrade: if the answer is 2xx or 101, both bodies are raw bytes of a
   * tunnel, until `end` or `abort` on each side.
   */
  upgrade: boolean;
  /** Body length if declared, 0 if there is no body, -1 if it is unknown. */
  contentLength: number;
  /** What the layers of one process tell each other about this request. Never sent, never read here. */
  context?: object;
}

export interface ResponseHead {
  status: number;
  version: HttpVersion;
  headers: HeaderMap;
  /** As in `RequestHead`. -1 with HTTP/1.0 may mean "until the connection ends". */
  contentLength: number;
}

/** What a receiver holds to slow its sender down. Both are idempotent. */
export interface Flow {
  pause(): void;
  resume(): void;
  /**
   * Whatever is still to come will be dropped: the sender may spare itself the work, once nothing
   * else depends on it. Optional on both sides.
   */
  stop?(): void;
}

/** For senders that need no slowing down: what they send is small and already in memory. */
export const NO_FLOW: Flow = { pause: () => {}, resume: () => {} };

/**
 * Takes a body: `data` any number of times, then `end` or `abort` once, then nothing.
 *
 * A range is lent, not given: it is valid until `data` returns, and whoever must keep it copies it.
 * So one read buffer serves all connections (docs/decisions/0001-lent-ranges.md).
 */
export interface BodySink {
  data(bytes: Uint8Array, start: number, end: number): void;
  end(trailers: HeaderMap | undefined): void;
  /** The body ends early. A sink that is told so by its sender tells nobody back. */
  abort(reason: MeshError): void;
}

export interface ResponseSink extends BodySink {
  /** A 1xx other than 101, any number of times before `head`. May be ignored. */
  informational?(head: ResponseHead): void;
  /** Once, before any `data`. Left out only when `abort` comes first. */
  head(head: ResponseHead, flow: Flow): void;
}

export interface HttpService {
  /**
   * Sends one request: its body goes to the sink returned, the answer comes to `response`, which
   * may hear of it before `call` returns. A caller that loses interest in the answer calls `abort`
   * on the sink returned, also after its `end`; nothing comes to `response` after that.
   */
  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink;
}

/** Makes the service for a target: once per connection, route or endpoint, never per request. */
export type NewHttp<T> = (target: T) => HttpService;

/** Where the rest of a request goes that was already answered. */
export const DISCARD: BodySink = { data: () => {}, end: () => {}, abort: () => {} };
