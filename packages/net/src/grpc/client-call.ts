import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { MeshError, Side } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { ErrorCode } from "@heddle/wire/http2/frame";
import type {
  BodySink,
  Flow,
  HttpService,
  RequestHead,
  ResponseHead,
  ResponseSink,
} from "../http.ts";
import { Http2Error } from "../http2/errors.ts";
import type { EncodedMessage } from "./encoded-message.ts";
import { brokenOff, GrpcError } from "./error.ts";
import { Gate } from "./gate.ts";
import { Incoming } from "./incoming.ts";
import { MessageReader } from "./message-reader.ts";
import { GrpcStatus, grpcStatusOfHttp } from "./status.ts";
import { MAX_TIMER_MS } from "./timeout.ts";
import { decodeTrailers } from "./trailers.ts";

export interface ClientCallOptions {
  readonly maxMessageBytes: number;
  /** Whose fault failures of the server are. */
  readonly side: Side;
  readonly timeoutMs?: number | undefined;
  /** Hears of the header when it comes; a failed call may have none. */
  readonly onHeader?: ((header: HeaderMap) => void) | undefined;
  /** Hears of the trailers, also of those of a failed call. */
  readonly onTrailer?: ((trailer: HeaderMap) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One call on the client's side: sends messages, reads the answer, ends exactly once. */
export class ClientCall<O extends DescMessage> implements ResponseSink {
  /** The answers. It fails with the call's `GrpcError`; whoever leaves it early cancels the call. */
  readonly answers: Incoming<MessageShape<O>>;
  readonly #output: O;
  readonly #options: ClientCallOptions;
  readonly #reader: MessageReader;
  readonly #gate: Gate = new Gate();
  readonly #onAbort: () => void;
  #sink: BodySink | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Of the answer, which is gRPC. */
  #header: HeaderMap | undefined;
  /** The request's body is complete, or of no interest any more. */
  #isSent = false;
  #isEnded = false;
  #ended: (() => void) | undefined;

  constructor(method: DescMethod & { readonly output: O }, options: ClientCallOptions) {
    this.#output = method.output;
    this.#options = options;
    this.#reader = new MessageReader(options.maxMessageBytes, (bytes) => this.#onMessage(bytes));
    this.answers = new Incoming(() => this.cancel(cancelled("the caller reads no more of it")));
    this.#onAbort = () => this.cancel(cancelled("the caller gave up", options.signal?.reason));
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Calls `listener` when the call has ended with its requests unfinished. One listener. */
  onEnd(listener: () => void): void {
    this.#ended = listener;
  }

  /** Sends the head. Once, before anything else. */
  start(service: HttpService, head: RequestHead): void {
    const { signal, timeoutMs } = this.#options;
    if (signal?.aborted === true) {
      this.#onAbort();
      return;
    }
    signal?.addEventListener("abort", this.#onAbort);
    if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS) {
      this.#timer = setTimeout(() => this.#onDeadline(), timeoutMs);
    }
    const sink = service.call(head, this.#gate, this);
    this.#sink = sink;
    // The answer may be over before `call` returned, with the request still open.
    if (this.#isEnded) this.#abandon(sink);
  }

  /** Sends a message. A promise if the next one shall wait. Harmless once the call has ended. */
  send(message: EncodedMessage): Promise<void> | undefined {
    if (this.#isSent || this.#sink === undefined) return undefined;
    this.#sink.data(message.frame, 0, message.frame.length);
    return this.#gate.opened();
  }

  /** After the last message. */
  sendEnd(): void {
    if (this.#isSent) return;
    this.#isSent = true;
    this.#sink?.end(undefined);
  }

  /** Ends the call with `error`, and tells the server that nobody waits any more. */
  cancel(error: GrpcError): void {
    if (this.#isEnded) return;
    this.#end(error);
    if (this.#sink !== undefined) this.#abandon(this.#sink);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.#isEnded) return;
    const contentType = head.headers.get("content-type") ?? "";
    const hasStatus = head.headers.has("grpc-status");
    if (!hasStatus && (head.status !== 200 || !contentType.startsWith("application/grpc"))) {
      const shown = contentType === "" ? "" : ` and ${contentType}`;
      const message = `Cannot call: the answer is HTTP ${head.status}${shown}, not gRPC`;
      this.cancel(this.#error(grpcStatusOfHttp(head.status), message));
      return;
    }
    const encoding = head.headers.get("grpc-encoding") ?? "identity";
    if (encoding !== "identity") {
      const message = `Cannot read answer: grpc-encoding "${encoding}" was not offered`;
      this.cancel(this.#error(GrpcStatus.internal, message));
      return;
    }
    this.#header = head.headers;
    this.answers.attach(flow);
    this.#options.onHeader?.(head.headers);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isEnded) return;
    try {
      this.#reader.feed(bytes, start, end);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      this.cancel(error);
    }
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#isEnded) return;
    // Without a body, the head may be the trailers.
    const fields = trailers?.has("grpc-status") === true ? trailers : this.#header;
    if (fields?.has("grpc-status") !== true) {
      this.#end(this.#error(GrpcStatus.unknown, "Cannot read answer: it ended without a status"));
    } else {
      this.#options.onTrailer?.(fields);
      const error = decodeTrailers(fields, this.#options.side);
      if (error === undefined && this.#reader.isPartial) {
        this.#end(this.#error(GrpcStatus.internal, "Cannot read answer: it ended in a message"));
      } else this.#end(error);
    }
    // An answer may be complete before its request is.
    if (!this.#isSent && this.#sink !== undefined) this.#abandon(this.#sink);
  }

  abort(reason: MeshError): void {
    if (!this.#isEnded) this.#end(brokenOff(reason, this.#options.side));
  }

  #onMessage(bytes: Uint8Array): void {
    if (this.#isEnded) return;
    let message: MessageShape<O>;
    try {
      message = fromBinary(this.#output, bytes);
    } catch (cause) {
      const text = `Cannot parse ${this.#output.typeName}: it is malformed`;
      throw new GrpcError(GrpcStatus.internal, text, { side: this.#options.side, cause });
    }
    this.answers.push(message);
  }

  #end(error: GrpcError | undefined): void {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    if (error === undefined) this.answers.end();
    else this.answers.fail(error);
    this.#gate.release();
    if (!this.#isSent) this.#ended?.();
  }

  #abandon(sink: BodySink): void {
    this.#isSent = true;
    const message = "Cannot go on with request: nobody waits for its answer";
    sink.abort(new Http2Error("h2_reset", "client", message, { h2Reason: ErrorCode.cancel }));
  }

  #onDeadline(): void {
    this.cancel(this.#error(GrpcStatus.deadlineExceeded, "deadline exceeded"));
  }

  #error(status: GrpcStatus, message: string): GrpcError {
    return new GrpcError(status, message, { side: this.#options.side });
  }
}

function cancelled(why: string, cause?: unknown): GrpcError {
  const options = cause === undefined ? {} : { cause };
  return new GrpcError(GrpcStatus.cancelled, `Cannot finish call: ${why}`, options);
}
