import { copyRange } from "@heddle/base/bytes";
import type { MeshError } from "@heddle/base/errors";
import { HeaderMap } from "@heddle/wire/http/headers";
import {
  type BodySink,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "../../http.ts";

/** For tests: what came of one body, copied. */
export class Gather implements ResponseSink {
  readonly informationals: ResponseHead[] = [];
  response: ResponseHead | undefined;
  flow: Flow = NO_FLOW;
  trailers: HeaderMap | undefined;
  error: MeshError | undefined;
  isEnded = false;
  byteCount = 0;
  /** Called with each head's flow. */
  onHead: ((flow: Flow) => void) | undefined;
  /** Called with the size of each chunk. */
  onData: ((count: number) => void) | undefined;
  readonly #chunks: Buffer[] = [];
  readonly #keep: boolean;
  #waiting: (() => void)[] = [];

  /** @param keep - False: bytes are counted only. */
  constructor(keep = true) {
    this.#keep = keep;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  informational(head: ResponseHead): void {
    this.informationals.push(head);
    this.#wake();
  }

  head(head: ResponseHead, flow: Flow): void {
    this.response = head;
    this.flow = flow;
    this.onHead?.(flow);
    this.#wake();
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.isEnded || this.error !== undefined) throw new Error("data after the end");
    this.byteCount += end - start;
    if (this.#keep) this.#chunks.push(Buffer.from(copyRange(bytes, start, end)));
    this.onData?.(end - start);
    this.#wake();
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.isEnded || this.error !== undefined) throw new Error("end after the end");
    this.isEnded = true;
    this.trailers = trailers;
    this.#wake();
  }

  abort(reason: MeshError): void {
    if (this.error !== undefined) throw new Error("abort after abort");
    this.error = reason;
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Waits for `end`; throws what it was aborted with. */
  async done(): Promise<this> {
    await this.until(() => this.isEnded || this.error !== undefined);
    if (this.error !== undefined) throw this.error;
    return this;
  }

  /** Waits for `abort`. */
  async aborted(): Promise<MeshError> {
    await this.until(() => this.error !== undefined);
    return this.error!;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** One request as a service got it. */
export interface Call {
  readonly head: RequestHead;
  readonly flow: Flow;
  readonly response: ResponseSink;
  readonly body: Gather;
}

/** For tests: keeps every call, for the test to answer. */
export class Calls implements HttpService {
  readonly all: Call[] = [];
  onCall: ((call: Call) => void) | undefined;
  #waiting: (() => void)[] = [];

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const call = { head, flow, response, body: new Gather() };
    this.all.push(call);
    this.onCall?.(call);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    return call.body;
  }

  async nth(count: number): Promise<Call> {
    while (this.all.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.all[count - 1]!;
  }
}

/** For tests: sends every body back, with backpressure; its trailers too. */
export const ECHO: HttpService = {
  call(_head, flow, response) {
    response.head(responseHead(200), flow);
    return {
      data: (bytes, start, end) => response.data(bytes, start, end),
      end: (trailers) => response.end(trailers),
      abort: () => {},
    };
  },
};

export function responseHead(status: number, fields: Record<string, string> = {}): ResponseHead {
  return { status, version: "2", headers: HeaderMap.of(fields), contentLength: -1 };
}

export function requestHead(
  method = "GET",
  path = "/",
  fields: Record<string, string> = {},
): RequestHead {
  return {
    method,
    scheme: "http",
    authority: "test",
    path,
    version: "2",
    headers: HeaderMap.of(fields),
    absoluteForm: false,
    upgrade: method === "CONNECT",
    contentLength: -1,
  };
}
