import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { Json, JsonObject } from "@heddle/apiserver/json/value";

export interface ClientOptions {
  readonly url: string;
  readonly caPem: string;
  readonly token?: string;
  readonly certificate?: { readonly certificatePem: string; readonly keyPem: string };
}

export interface RequestOptions {
  readonly body?: Json | Buffer | undefined;
  readonly type?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  /** The parsed body; an empty object if it is not a JSON object. */
  readonly body: JsonObject;
}

/** A bare HTTP client for tests: no retries, no checks, nothing hidden. */
export class TestClient implements Disposable {
  readonly #options: ClientOptions;
  readonly #agent: Agent;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { certificate, caPem } = options;
    this.#agent = new Agent({
      keepAlive: true,
      ca: caPem,
      ...(certificate === undefined
        ? {}
        : { cert: certificate.certificatePem, key: certificate.keyPem }),
    });
  }

  get(path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.send("GET", path, options);
  }

  post(path: string, body: Json, options: RequestOptions = {}): Promise<Answer> {
    return this.send("POST", path, { ...options, body });
  }

  put(path: string, body: Json): Promise<Answer> {
    return this.send("PUT", path, { body });
  }

  /** @param kind - `json`, `merge` or `strategic-merge`. */
  patch(path: string, kind: string, body: Json): Promise<Answer> {
    return this.send("PATCH", path, { body, type: `application/${kind}-patch+json` });
  }

  delete(path: string, body?: Json): Promise<Answer> {
    return this.send("DELETE", path, { body });
  }

  async send(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    const response = await this.#open(method, path, options);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    return {
      code: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: text.startsWith("{") ? (JSON.parse(text) as JsonObject) : {},
    };
  }

  /** Opens a watch; `path` has the query but for `watch=1`. */
  async watch(path: string, options: RequestOptions = {}): Promise<TestWatch> {
    const mark = path.includes("?") ? "&" : "?";
    return new TestWatch(await this.#open("GET", `${path}${mark}watch=1`, options));
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #open(method: string, path: string, options: RequestOptions): Promise<IncomingMessage> {
    const { body, type = "application/json", accept = "application/json", headers } = options;
    const { url, token } = this.#options;
    const bytes =
      body === undefined
        ? undefined
        : Buffer.isBuffer(body)
          ? body
          : Buffer.from(JSON.stringify(body));
    const request = httpsRequest(`${url}${path}`, {
      method,
      agent: this.#agent,
      headers: {
        accept,
        ...(bytes === undefined ? {} : { "content-type": type, "content-length": bytes.length }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
    });
    request.end(bytes);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response;
  }
}

export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject;
}

/** The lines of a watch, one at a time. */
export class TestWatch implements Disposable {
  readonly response: IncomingMessage;
  readonly #events: WatchEvent[] = [];
  #rest = "";
  #isOver = false;
  #wake: () => void = () => {};

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.#events.push(JSON.parse(line) as WatchEvent);
      this.#wake();
    });
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    response.on("close", end).on("error", end);
  }

  /** The next event; undefined when the watch is over. */
  async next(): Promise<WatchEvent | undefined> {
    while (this.#events.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#events.shift();
  }

  /** Skips to the first event that fits. */
  async until(fits: (event: WatchEvent) => boolean): Promise<WatchEvent> {
    for (;;) {
      const event = await this.next();
      if (event === undefined) throw new Error("the watch ended before the event came");
      if (fits(event)) return event;
    }
  }

  [Symbol.dispose](): void {
    this.response.destroy();
  }
}
