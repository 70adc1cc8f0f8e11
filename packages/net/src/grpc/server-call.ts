import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { MeshError } from "@heddle/base/errors";
import { HeaderMap } from "@heddle/wire/http/headers";
import type { BodySink, Flow, RequestHead, ResponseSink } from "../http.ts";
import { type AnswerFeed, type AnswerSink, isFeed } from "./answer-feed.ts";
import { EncodedMessage } from "./encoded-message.ts";
import { GrpcError, toGrpcError } from "./error.ts";
import { Gate, type GateOwner } from "./gate.ts";
import type { Answer, AnyHandler, CallContext, GrpcPeer } from "./handlers.ts";
import { Incoming } from "./incoming.ts";
import { MessageReader } from "./message-reader.ts";
import { copyMetadata } from "./metadata.ts";
import { GrpcStatus } from "./status.ts";
import { MAX_TIMER_MS } from "./timeout.ts";
import { encodeTrailers } from "./trailers.ts";

/** A method with its handler. */
export interface ServedMethod {
  readonly method: DescMethod;
  readonly handler: AnyHandler;
}

/** What a call needs of its server. */
export interface CallHost {
  readonly maxMessageBytes: number;
  /** For the one request of a method that has one. */
  readonly requestTimeoutMs: number;
  nowMs(): number;
  /** Nothing more will be sent for this call. */
  finished(call: ServerCall): void;
  /** A handler threw what is no `MeshError`. */
  bug(path: string, thrown: unknown): void;
}

export interface ServerCallOptions {
  readonly served: ServedMethod;
  readonly head: RequestHead;
  /** Of the request. */
  readonly flow: Flow;
  readonly response: ResponseSink;
  readonly peer: GrpcPeer;
  readonly timeoutMs: number | undefined;
}

/** One call on the server's side: takes the request's body, runs the handler, sends the answer. */
export class ServerCall implements BodySink, CallContext, AnswerSink<ServedAnswer>, GateOwner {
  readonly path: string;
  readonly authority: string;
  readonly peer: GrpcPeer;
  #metadata: HeaderMap;
  /** Most calls have neither. */
  #header: HeaderMap | undefined;
  #trailer: HeaderMap | undefined;
  readonly #host: CallHost;
  readonly #served: ServedMethod;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  /** Until the request is complete. */
  #reader: MessageReader | undefined;
  readonly #gate: Gate = new Gate(this);
  /** Of a method whose requests are streamed. */
  readonly #requests: Incoming<Message> | undefined;
  readonly #deadlineMs: number | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  /** Runs until the request is complete, if there is one only. */
  #requestTimer: NodeJS.Timeout | undefined;
  /** Of a method with one request. */
  #request: Message | undefined;
  /** Made when somebody asks for the signal. */
  #controller: AbortController | undefined;
  /** Why it was cut short. */
  #reason: GrpcError | undefined;
  #answers: AsyncIterator<ServedAnswer> | undefined;
  #feed: AnswerFeed<ServedAnswer> | undefined;
  #headSent = false;
  #isFinished = false;

  constructor(host: CallHost, options: ServerCallOptions) {
    const { served, head, flow, response, peer, timeoutMs } = options;
    this.#host = host;
    this.#served = served;
    this.#flow = flow;
    this.#response = response;
    this.path = head.path;
    this.authority = head.authority;
    this.#metadata = head.headers;
    this.peer = peer;
    this.#reader = new MessageReader(host.maxMessageBytes, (bytes) => this.#onMessage(bytes));
    if (!hasOneRequest(served.method)) {
      // Whoever leaves early may still answer: only the rest of the requests is dropped.
      this.#requests = new Incoming(() => {});
      this.#requests.attach(flow);
    }
    if (timeoutMs !== undefined) {
      this.#deadlineMs = host.nowMs() + timeoutMs;
      if (timeoutMs <= MAX_TIMER_MS) this.#timer = setTimeout(() => this.#onDeadline(), timeoutMs);
    }
  }

  get metadata(): HeaderMap {
    return this.#metadata;
  }

  get header(): HeaderMap {
    this.#header ??= new HeaderMap();
    return this.#header;
  }

  get trailer(): HeaderMap {
    this.#trailer ??= new HeaderMap();
    return this.#trailer;
  }

  /** Whether it goes on for as long as the handler likes, and not only until one answer. */
  get streamsAnswers(): boolean {
    const kind = this.#served.method.methodKind;
    return kind === "server_streaming" || kind === "bidi_streaming";
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  remainingMs(): number | undefined {
    if (this.#deadlineMs === undefined) return undefined;
    return Math.max(0, this.#deadlineMs - this.#host.nowMs());
  }

  /** Runs the handler, or makes it wait for the request. */
  start(): void {
    if (this.#requests !== undefined) void this.#run(this.#requests);
    else {
      const onTimeout = (): void => this.finish(new GrpcError(GrpcStatus.cancelled, SLOW_REQUEST));
      this.#requestTimer = setTimeout(onTimeout, this.#host.requestTimeoutMs);
    }
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isFinished) return;
    try {
      this.#reader?.feed(bytes, start, end);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      this.finish(error);
    }
  }

  end(): void {
    if (this.#isFinished) return;
    clearTimeout(this.#requestTimer);
    this.#requestTimer = undefined;
    const isPartial = this.#reader?.isPartial === true;
    this.#reader = undefined;
    if (isPartial) {
      this.finish(
        new GrpcError(GrpcStatus.internal, "Cannot read message: the request ended in it"),
      );
    } else if (this.#requests !== undefined) {
      this.#requests.end();
    } else if (this.#request === undefined) {
      this.finish(
        new GrpcError(GrpcStatus.unimplemented, "Cannot call: there is no request message"),
      );
    } else {
      const request = this.#request;
      this.#request = undefined;
      void this.#run(request);
    }
  }

  /** The client lost interest, or was lost. */
  abort(reason: MeshError): void {
    if (this.#isFinished) return;
    const error = new GrpcError(GrpcStatus.cancelled, reason.message, { cause: reason });
    this.#settle(error);
  }

  sendHeader(): void {
    if (this.#headSent || this.#isFinished) return;
    const headers = new HeaderMap();
    headers.append("content-type", "application/grpc");
    if (this.#header !== undefined) copyMetadata(this.#header, headers);
    this.#headSent = true;
    const head = { status: 200, version: "2", headers, contentLength: -1 } as const;
    this.#response.head(head, this.#gate);
  }

  /** Ends the call, if it has not ended: with OK, or with `error`. */
  finish(error: GrpcError | undefined): void {
    if (this.#isFinished) return;
    this.#settle(error);
    const trailers = this.#trailers(error);
    if (this.#headSent) this.#response.end(trailers);
    else sendTrailersOnly(this.#response, trailers);
  }

  complete(error: GrpcError | undefined): void {
    this.#feed = undefined;
    this.finish(error);
  }

  #trailers(error: GrpcError | undefined): HeaderMap {
    try {
      const trailers = encodeTrailers(error, this.#trailer);
      if (this.#headSent || this.#header === undefined) return trailers;
      const all = new HeaderMap();
      copyMetadata(this.#header, all);
      for (let i = 0; i < trailers.size; i++) all.append(trailers.nameAt(i), trailers.valueAt(i));
      return all;
    } catch (thrown) {
      // Metadata that cannot be sent. The status must get through without it.
      this.#host.bug(this.path, thrown);
      return encodeTrailers(toGrpcError(thrown).error);
    }
  }

  /** Everything of an end but what the client is told. */
  #settle(error: GrpcError | undefined): void {
    this.#isFinished = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#requestTimer);
    if (error !== undefined) {
      this.#reason = error;
      this.#controller?.abort(error);
      this.#requests?.fail(error);
      // What is waiting for more requests gets the reason; who already left gets nothing.
      this.#leave();
    }
    this.#gate.release();
    // Whatever of the request still comes is dropped; paused, it would fill the connection's window.
    this.#flow.resume();
    this.#host.finished(this);
  }

  /** Tells a stream of answers that nobody reads it any more. */
  #leave(): void {
    const feed = this.#feed;
    this.#feed = undefined;
    feed?.detach();
    const answers = this.#answers;
    this.#answers = undefined;
    answers?.return?.().then(undefined, (thrown: unknown) => this.#onLate(thrown));
  }

  #onMessage(bytes: Uint8Array): void {
    if (this.#isFinished) return;
    const message = this.#decode(bytes);
    if (this.#requests !== undefined) this.#requests.push(message);
    else if (this.#request === undefined) this.#request = message;
    else {
      const text = "Cannot call: there is more than one request message";
      throw new GrpcError(GrpcStatus.unimplemented, text);
    }
  }

  #decode(bytes: Uint8Array): Message {
    try {
      return fromBinary(this.#served.method.input, bytes);
    } catch (cause) {
      const name = this.#served.method.input.typeName;
      throw new GrpcError(GrpcStatus.internal, `Cannot parse ${name}: it is malformed`, { cause });
    }
  }

  async #run(request: Message | Incoming<Message>): Promise<void> {
    try {
      const answer = this.#served.handler(request, this);
      if (isFeed<ServedAnswer>(answer)) {
        this.#attach(answer);
        return;
      }
      if (Symbol.asyncIterator in answer) await this.#sendAll(answer[Symbol.asyncIterator]());
      else this.send(await answer);
      this.finish(undefined);
    } catch (thrown) {
      if (this.#isFinished) this.#onLate(thrown);
      else this.#onThrown(thrown);
    }
  }

  async #sendAll(answers: AsyncIterator<ServedAnswer>): Promise<void> {
    this.#answers = answers;
    while (!this.#isFinished) {
      const next = await answers.next();
      if (next.done === true) {
        this.#answers = undefined;
        return;
      }
      this.send(next.value);
      const opened = this.#gate.opened();
      if (opened !== undefined) await opened;
    }
  }

  #attach(feed: AnswerFeed<ServedAnswer>): void {
    if (this.#isFinished) {
      feed.detach();
      return;
    }
    this.#feed = feed;
    this.#metadata = NO_METADATA;
    feed.attach(this);
  }

  gateOpened(): void {
    this.#feed?.resume();
  }

  get isOpen(): boolean {
    return !this.#gate.isPaused;
  }

  send(answer: ServedAnswer): void {
    if (this.#isFinished) return;
    const { frame } = answer instanceof EncodedMessage ? answer : this.#encode(answer);
    this.sendHeader();
    this.#response.data(frame, 0, frame.length);
  }

  #encode(answer: Exclude<ServedAnswer, EncodedMessage>): EncodedMessage {
    const { output } = this.#served.method;
    return new EncodedMessage(toBinary(output, create(output, answer)));
  }

  #onDeadline(): void {
    this.finish(new GrpcError(GrpcStatus.deadlineExceeded, "deadline exceeded"));
  }

  #onThrown(thrown: unknown): void {
    const { error, isBug } = toGrpcError(thrown);
    if (isBug) this.#host.bug(this.path, thrown);
    this.finish(error);
  }

  /** A handler that was cut short may say so, in its own way; only a bug is worth a line. */
  #onLate(thrown: unknown): void {
    const isAbort = thrown === this.#reason || (thrown as Error | undefined)?.name === "AbortError";
    if (!isAbort && toGrpcError(thrown).isBug) this.#host.bug(this.path, thrown);
  }
}

type ServedAnswer = Answer<DescMethod["output"]>;

const NO_METADATA = new HeaderMap();
const SLOW_REQUEST = "Cannot read request: it took too long to come";

/** An answer without a body: its head is its trailers. */
export function sendTrailersOnly(response: ResponseSink, trailers: HeaderMap): void {
  const headers = new HeaderMap();
  headers.append("content-type", "application/grpc");
  for (let i = 0; i < trailers.size; i++) headers.append(trailers.nameAt(i), trailers.valueAt(i));
  response.head({ status: 200, version: "2", headers, contentLength: 0 }, new Gate());
  response.end(undefined);
}

function hasOneRequest(method: DescMethod): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}
