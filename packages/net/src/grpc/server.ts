import type { DescService } from "@bufbuild/protobuf";
import type { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { HeaderMap } from "@heddle/wire/http/headers";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseSink,
} from "../http.ts";
import { GrpcError } from "./error.ts";
import type { AnyHandler, GrpcPeer, Handlers } from "./handlers.ts";
import { type CallHost, type ServedMethod, ServerCall, sendTrailersOnly } from "./server-call.ts";
import { GrpcStatus } from "./status.ts";
import { parseGrpcTimeout } from "./timeout.ts";
import { encodeTrailers } from "./trailers.ts";

/** gRPC's own default, in both roles. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4_194_304;

export interface GrpcServerOptions {
  /** Of one request message. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /**
   * Calls at a time, over all connections; more are refused. Default 100,000, as each proxy of a
   * mesh holds dozens of watches.
   */
  readonly maxCalls?: number;
  /** The same for each view of `forPeer`, so that no peer takes it all. Default 10,000. */
  readonly maxCallsPerPeer?: number;
  /** How long a client may take to send the request of a method that has one. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** Hears of handlers' bugs. */
  readonly log?: Log;
  /** Counts them. */
  readonly onBug?: () => void;
  readonly nowMs?: () => number;
}

/**
 * Serves gRPC on any `HttpService`'s place, so on any HTTP/2 connection: one server for all
 * connections, with a view per connection that knows its peer.
 */
export class GrpcServer implements HttpService, AsyncDisposable {
  readonly #methods = new Map<string, ServedMethod>();
  readonly #services: DescService[] = [];
  readonly #calls = new Map<ServerCall, Peer>();
  readonly #host: CallHost;
  readonly #maxCalls: number;
  readonly #maxCallsPerPeer: number;
  readonly #nobody: Peer = { peer: {}, calls: 0 };
  #closing: PromiseWithResolvers<void> | undefined;

  constructor(options: GrpcServerOptions = {}) {
    const log = options.log ?? Log.silent();
    this.#maxCalls = options.maxCalls ?? 100_000;
    this.#maxCallsPerPeer = options.maxCallsPerPeer ?? 10_000;
    this.#host = {
      maxMessageBytes: options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      requestTimeoutMs: options.requestTimeoutMs ?? 60_000,
      nowMs: options.nowMs ?? (() => performance.now()),
      finished: (call) => this.#onFinished(call),
      bug: (path, thrown) => {
        options.onBug?.();
        log.error("gRPC handler failed", { path, error: thrown });
      },
    };
  }

  /** Every service that was added, for reflection and health. */
  get services(): readonly DescService[] {
    return this.#services;
  }

  /** Calls that have not ended. */
  get activeCalls(): number {
    return this.#calls.size;
  }

  /** Serves the methods that have a handler. A service can be added once. */
  add<S extends Omit<DescService, "method"> & { readonly method: object }>(
    service: S,
    handlers: Handlers<S>,
  ): this {
    const described = service as unknown as DescService;
    if (this.#services.includes(described)) {
      throw new Error(`Cannot add service ${service.typeName}: it is there already`);
    }
    this.#services.push(described);
    const byName = handlers as Readonly<Record<string, AnyHandler | undefined>>;
    for (const method of described.methods) {
      const handler = byName[method.localName];
      if (handler === undefined) continue;
      const bound = handler.bind(handlers) as AnyHandler;
      this.#methods.set(`/${service.typeName}/${method.name}`, { method, handler: bound });
    }
    return this;
  }

  /** The same server, as one connection sees it. */
  forPeer(peer: GrpcPeer): HttpService {
    const counted = { peer, calls: 0 };
    return { call: (head, flow, response) => this.#call(counted, head, flow, response) };
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    return this.#call(this.#nobody, head, flow, response);
  }

  /**
   * Refuses new calls with UNAVAILABLE and ends streams of answers so at once: they may last for
   * ever, and their clients go elsewhere. Other calls have `graceMs` to end by themselves.
   */
  async close(graceMs = 0): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers();
      for (const call of [...this.#calls.keys()]) if (call.streamsAnswers) call.finish(closing());
      this.#onIdle();
    }
    const timer = setTimeout(() => this.destroy(closing()), graceMs);
    await this.#closing.promise;
    clearTimeout(timer);
  }

  /** Ends every call now, with UNAVAILABLE, or with the reason if it is a `GrpcError`. */
  destroy(reason: MeshError = closing()): void {
    this.#closing ??= Promise.withResolvers();
    const error =
      reason instanceof GrpcError
        ? reason
        : new GrpcError(GrpcStatus.unavailable, reason.message, { cause: reason });
    for (const call of [...this.#calls.keys()]) call.finish(error);
    this.#onIdle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #call(from: Peer, head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    if (head.method !== "POST") return answerHttp(response, 405, { allow: "POST" });
    if (!isGrpc(head.headers.get("content-type"))) {
      return answerHttp(response, 415, { accept: "application/grpc" });
    }
    const served = this.#methods.get(pathOf(head));
    if (served === undefined) {
      return refuse(response, GrpcStatus.unimplemented, `Cannot call ${head.path}: no such method`);
    }
    if (this.#closing !== undefined) return refuse(response, GrpcStatus.unavailable, CLOSING);
    if (this.#calls.size >= this.#maxCalls || from.calls >= this.#maxCallsPerPeer) {
      return refuse(
        response,
        GrpcStatus.resourceExhausted,
        "Cannot call: too many calls at a time",
      );
    }
    const encoding = head.headers.get("grpc-encoding") ?? "identity";
    if (encoding !== "identity") {
      const message = `Cannot read messages: grpc-encoding "${encoding}" is not supported`;
      return refuse(response, GrpcStatus.unimplemented, message);
    }
    let timeoutMs: number | undefined;
    try {
      const text = head.headers.get("grpc-timeout");
      timeoutMs = text === undefined ? undefined : parseGrpcTimeout(text);
    } catch (error) {
      return refuse(
        response,
        GrpcStatus.internal,
        `Cannot call: ${(error as SyntaxError).message}`,
      );
    }
    const { peer } = from;
    const call = new ServerCall(this.#host, { served, head, flow, response, peer, timeoutMs });
    this.#calls.set(call, from);
    from.calls++;
    call.start();
    return call;
  }

  #onFinished(call: ServerCall): void {
    const from = this.#calls.get(call);
    if (from !== undefined) from.calls--;
    this.#calls.delete(call);
    this.#onIdle();
  }

  #onIdle(): void {
    if (this.#calls.size === 0) this.#closing?.resolve();
  }
}

/** A peer, and how many calls it has. */
interface Peer {
  readonly peer: GrpcPeer;
  calls: number;
}

const CLOSING = "server is closing";

function closing(): GrpcError {
  return new GrpcError(GrpcStatus.unavailable, CLOSING);
}

/** Answers without a call. Says what encodings there are, for whoever asked for another. */
function refuse(response: ResponseSink, status: GrpcStatus, message: string): BodySink {
  const trailers = encodeTrailers(new GrpcError(status, message));
  trailers.append("grpc-accept-encoding", "identity");
  sendTrailersOnly(response, trailers);
  return DISCARD;
}

/** Without a query, which gRPC does not know. */
function pathOf(head: RequestHead): string {
  const at = head.path.indexOf("?");
  return at < 0 ? head.path : head.path.slice(0, at);
}

function isGrpc(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:\+proto)?(?:;|$)/.test(contentType);
}

/** For whoever does not speak gRPC at all. */
function answerHttp(
  response: ResponseSink,
  status: number,
  fields: Readonly<Record<string, string>>,
): BodySink {
  const headers = HeaderMap.of(fields);
  response.head({ status, version: "2", headers, contentLength: 0 }, NO_FLOW);
  response.end(undefined);
  return DISCARD;
}
