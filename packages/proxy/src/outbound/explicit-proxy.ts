import { copyRange } from "@heddle/base/bytes";
import { MeshError } from "@heddle/base/errors";
import { parseDnsName } from "@heddle/model/dns-name";
import { parseIp } from "@heddle/model/network";
import { splitAuthority } from "@heddle/model/socket-address";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import type { Socket } from "@heddle/net/transport";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { Connections } from "../connections.ts";
import type { Target } from "../discovery/discovery.ts";
import type { EdgeObserver } from "../http/edge.ts";
import { serveHttp } from "../http/serve.ts";
import { type ClientInfo, recordOf } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { TunnelSocket } from "../tcp/tunnel-socket.ts";
import type { OutboundConfig } from "./config.ts";
import type { KnownTarget, TargetCache } from "./discover.ts";

export interface ExplicitProxyParts {
  readonly config: OutboundConfig;
  readonly runtime: Runtime;
  readonly connections: Connections;
  readonly observer: EdgeObserver;
  /** Takes a CONNECT tunnel over as a connection to its target. */
  readonly tunnel: (socket: Socket, target: Target, client: ClientInfo) => void;
}

/**
 * An HTTP proxy as clients know it from `HTTP_PROXY`: what a request asks for by its absolute-form
 * target is its destination, each request its own; a CONNECT tunnel is a connection to what it
 * names, with discovery, detection and all.
 */
export class ExplicitProxy implements HttpService {
  readonly #targets: TargetCache;
  readonly #parts: ExplicitProxyParts;

  constructor(targets: TargetCache, parts: ExplicitProxyParts) {
    this.#targets = targets;
    this.#parts = parts;
  }

  serve(socket: Socket, client: ClientInfo): void {
    const { config, runtime, connections, observer } = this.#parts;
    serveHttp(socket, this, {
      version: "http1",
      http2: config.http2Server,
      edge: {
        clock: runtime.clock,
        records: runtime.records,
        log: runtime.log,
        observer,
        maxInFlight: config.maxInFlight,
        defaultAuthority: "",
      },
      client,
      tellsWhy: !config.hidesErrors,
      connections,
      runtime,
    });
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const isConnect = head.method === "CONNECT";
    const target = head.absoluteForm || isConnect ? targetOf(head) : undefined;
    if (target === undefined) {
      const message = "Cannot proxy request: its target names no host";
      response.abort(new MeshError("no_route", "client", message));
      return DISCARD;
    }
    if (isConnect) {
      const { client } = recordOf(head);
      const tunnel = new TunnelSocket(flow, response, client!);
      tunnel.open(head.version);
      this.#parts.tunnel(tunnel, target, client!);
      return tunnel.request;
    }
    const request = new DiscoveringRequest(head, flow, response);
    flow.pause();
    this.#targets.acquire(target).then(
      (known) => request.found(known),
      (error: unknown) => request.failed(error),
    );
    return request;
  }
}

/** Names are discovered by authority, addresses as if they had been connected to. */
function targetOf(head: RequestHead): Target | undefined {
  const split = splitAuthority(head.authority);
  if (split === undefined) return undefined;
  const port = split.port ?? 80;
  const host = split.host.replace(/^\[|\]$/g, "");
  if (parseIp(host) !== undefined) return { kind: "address", ip: host, port };
  const name = parseDnsName(host);
  return name === undefined ? undefined : { kind: "name", name, port };
}

/** A request that waits for its target to be discovered. */
class DiscoveringRequest implements BodySink {
  readonly #head: RequestHead;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  readonly #chunks: Uint8Array[] = [];
  #inner: BodySink | undefined;
  #isEnded = false;
  #isAborted = false;
  #trailers: HeaderMap | undefined;

  constructor(head: RequestHead, flow: Flow, response: ResponseSink) {
    this.#head = head;
    this.#flow = flow;
    this.#response = response;
  }

  found(known: KnownTarget): void {
    if (this.#isAborted) {
      known.release();
      return;
    }
    const inner = known.http("http1").call(this.#head, this.#flow, this.#response);
    // The target stays for a while after its last use, which is now.
    known.release();
    this.#inner = inner;
    for (const chunk of this.#chunks) inner.data(chunk, 0, chunk.length);
    if (this.#isEnded) inner.end(this.#trailers);
    else this.#flow.resume();
  }

  failed(error: unknown): void {
    if (!(error instanceof MeshError)) throw error;
    if (!this.#isAborted) this.#response.abort(error);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#inner === undefined) this.#chunks.push(copyRange(bytes, start, end));
    else this.#inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#isEnded = true;
    this.#trailers = trailers;
    this.#inner?.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#isAborted = true;
    this.#inner?.abort(reason);
  }
}
