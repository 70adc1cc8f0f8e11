import { gzipSync } from "node:zlib";
import { copyRange } from "@heddle/base/bytes";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseSink,
} from "@heddle/net/http";
import { HeaderMap } from "@heddle/wire/http/headers";
import { recordOf } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { LogStreams } from "./log-streams.ts";

export interface AdminRoutesOptions {
  readonly runtime: Runtime;
  readonly isReady: () => boolean;
  /** Ends the process in good order; undefined: the endpoint is not enabled. */
  readonly shutdown: (() => void) | undefined;
  /** What `/env.json` shows. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `LINKERD2_PROXY_LOG=off`: there is no level to change. */
  readonly isLogOff: boolean;
}

interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bodies of requests are log filters and queries; nobody needs more. */
const MAX_BODY_BYTES = 16_384;
const LOCAL_ONLY: Answer = { status: 403, body: "Requests are only permitted from localhost." };

/** What the admin port serves: `proxy-behaviour` 13. */
export class AdminRoutes implements HttpService {
  readonly #options: AdminRoutesOptions;
  readonly #logs: LogStreams;

  constructor(options: AdminRoutesOptions) {
    this.#options = options;
    this.#logs = new LogStreams(options.runtime.log);
  }

  call(head: RequestHead, _flow: Flow, response: ResponseSink): BodySink {
    if (head.contentLength === 0) {
      const stop = this.#reply(head, "", response);
      return stop === undefined ? DISCARD : { ...DISCARD, abort: stop };
    }
    return new SmallBody((body) => {
      if (body !== undefined) return this.#reply(head, body, response);
      send(head, { status: 413, body: "body is too large\n" }, response);
      return undefined;
    });
  }

  /** Ends what would never end by itself. */
  close(): void {
    this.#logs.close();
  }

  /** Returns what to do when the client has gone before the end of a long answer. */
  #reply(head: RequestHead, body: string, response: ResponseSink): (() => void) | undefined {
    let url: URL;
    try {
      url = new URL(`http://admin${head.path.startsWith("/") ? head.path : "/"}`);
    } catch {
      // What a URL cannot be, the parser of requests may still have taken.
      send(head, { status: 400, body: "malformed path\n" }, response);
      return undefined;
    }
    if (url.pathname === "/logs.json") return this.#streamLog(head, url, body, response);
    send(head, this.#answer(head, url, body), response);
    return undefined;
  }

  #answer(head: RequestHead, url: URL, body: string): Answer {
    switch (url.pathname) {
      case "/live":
        return { status: 200, body: "live\n" };
      case "/ready":
        return this.#options.isReady()
          ? { status: 200, body: "ready\n" }
          : { status: 503, body: "not ready\n" };
      case "/metrics":
        return this.#metrics(head);
      case "/proxy-log-level":
        return this.#logLevel(head, body);
      case "/env.json":
        return this.#env(head, url);
      case "/shutdown":
        return this.#shutdown(head);
      default:
        return { status: 404, body: "" };
    }
  }

  #metrics(head: RequestHead): Answer {
    const text = this.#options.runtime.metrics.expose();
    const acceptsGzip = head.headers.getAll("accept-encoding").some((v) => v.includes("gzip"));
    if (!acceptsGzip) return { status: 200, body: text };
    return { status: 200, body: gzipSync(text), headers: { "content-encoding": "gzip" } };
  }

  #logLevel(head: RequestHead, body: string): Answer {
    const { log } = this.#options.runtime;
    if (!this.#isLocal(head)) return LOCAL_ONLY;
    if (this.#options.isLogOff) return { status: 404, body: "" };
    if (head.method === "GET") return { status: 200, body: log.filter };
    if (head.method !== "PUT") return { status: 405, body: "", headers: { allow: "GET, PUT" } };
    try {
      log.setFilter(body.trim());
      return { status: 204, body: "" };
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return { status: 400, body: `${error.message}\n` };
    }
  }

  #streamLog(
    head: RequestHead,
    url: URL,
    body: string,
    response: ResponseSink,
  ): (() => void) | undefined {
    const refuse = (answer: Answer): undefined => {
      send(head, answer, response);
    };
    if (!this.#isLocal(head)) return refuse(LOCAL_ONLY);
    const { isLogOff, runtime } = this.#options;
    if (isLogOff) return refuse({ status: 404, body: "" });
    if (head.method !== "GET" && head.method !== "QUERY") {
      return refuse({ status: 405, body: "", headers: { allow: "GET, QUERY" } });
    }
    if (!acceptsJson(head)) return refuse(NO_JSON);
    if (this.#logs.isFull) return refuse(jsonError(429, "too many readers of the log"));
    try {
      const asked = head.method === "QUERY" ? body : decodeURIComponent(url.search.slice(1));
      const filter = asked.trim() === "" ? runtime.log.filter : asked.trim();
      return this.#logs.open(filter, head, response);
    } catch (error) {
      if (error instanceof URIError) return refuse(jsonError(400, "malformed query"));
      if (error instanceof SyntaxError) return refuse(jsonError(400, error.message));
      throw error;
    }
  }

  #env(head: RequestHead, url: URL): Answer {
    if (!acceptsJson(head)) return NO_JSON;
    const { environment } = this.#options;
    const query = url.search.slice(1);
    if (query === "") return json(environment);
    let names: string[];
    try {
      names = query.split("&").map(decodeURIComponent);
    } catch {
      return jsonError(400, "malformed query");
    }
    const withValue = names.find((name) => name.includes("="));
    if (withValue !== undefined) return jsonError(400, `unexpected value in "${withValue}"`);
    return json(Object.fromEntries(names.map((name) => [name, environment[name] ?? null])));
  }

  #shutdown(head: RequestHead): Answer {
    const { shutdown } = this.#options;
    if (head.method !== "POST") return { status: 405, body: "", headers: { allow: "POST" } };
    if (!this.#isLocal(head)) return LOCAL_ONLY;
    if (shutdown === undefined) return { status: 404, body: "shutdown endpoint is not enabled\n" };
    shutdown();
    return { status: 200, body: "shutdown\n" };
  }

  #isLocal(head: RequestHead): boolean {
    const { client } = recordOf(head);
    const { mesh, sourceIp } = this.#options.runtime;
    // On a loopback mesh a process's own address is what localhost is elsewhere.
    return client !== undefined && (mesh.isLoopback(client.ip) || client.ip === sourceIp);
  }
}

function acceptsJson(head: RequestHead): boolean {
  const accept = head.headers.get("accept");
  return accept === undefined || /\*\/\*|application\/(?:\*|json)/.test(accept);
}

function json(value: object): Answer {
  return {
    status: 200,
    body: `${JSON.stringify(value)}\n`,
    headers: { "content-type": "application/json" },
  };
}

function jsonError(status: number, error: string): Answer {
  return { ...json({ error, status }), status };
}

const NO_JSON = jsonError(406, "not acceptable: application/json only");

function send(head: RequestHead, answer: Answer, response: ResponseSink): void {
  const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
  const headers = HeaderMap.of({ "content-type": "text/plain", ...answer.headers });
  const isBare = answer.status === 204;
  if (!isBare) headers.append("content-length", String(body.length));
  const { status } = answer;
  const contentLength = isBare ? 0 : body.length;
  response.head({ status, version: head.version, headers, contentLength }, NO_FLOW);
  if (body.length > 0 && head.method !== "HEAD" && !isBare) response.data(body, 0, body.length);
  response.end(undefined);
}

/** Gathers a body of bounded size. */
class SmallBody implements BodySink {
  readonly #done: (body: string | undefined) => (() => void) | undefined;
  #stop: (() => void) | undefined;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  /**
   * @param done - Told undefined if the body is too large. Returns what to do when the client
   *   loses interest in the answer.
   */
  constructor(done: (body: string | undefined) => (() => void) | undefined) {
    this.#done = done;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    const hadRoom = this.#bytes <= MAX_BODY_BYTES;
    this.#bytes += end - start;
    if (this.#bytes <= MAX_BODY_BYTES) this.#chunks.push(copyRange(bytes, start, end));
    else if (hadRoom) this.#done(undefined);
  }

  end(): void {
    if (this.#bytes > MAX_BODY_BYTES) return;
    this.#stop = this.#done(Buffer.concat(this.#chunks).toString("utf8"));
  }

  abort(): void {
    this.#stop?.();
  }
}
