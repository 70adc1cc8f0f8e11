import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Side } from "@heddle/base/errors";
import { HeaderMap } from "@heddle/wire/http/headers";
import type { HttpService, RequestHead } from "../http.ts";
import { ClientCall } from "./client-call.ts";
import { EncodedMessage } from "./encoded-message.ts";
import { GrpcError } from "./error.ts";
import { copyMetadata } from "./metadata.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "./server.ts";
import { GrpcStatus } from "./status.ts";
import { formatGrpcTimeout } from "./timeout.ts";

export interface GrpcClientOptions {
  /** `host[:port]`, as the server knows itself. */
  readonly authority: string;
  /** Default `http`, as Linkerd's proxies say over TLS as well. */
  readonly scheme?: "http" | "https";
  readonly userAgent?: string;
  /** Sent with every call. */
  readonly metadata?: HeaderMap;
  /** Of one answer. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Whose fault failures of the server are. Default `server`; `control` for the control plane. */
  readonly side?: Side;
}

export interface CallOptions {
  readonly metadata?: HeaderMap;
  /** Default: none. */
  readonly timeoutMs?: number | undefined;
  /** Hears of the header when it comes; a failed call may have none. */
  readonly onHeader?: (header: HeaderMap) => void;
  /** Hears of the trailers, also of those of a failed call. */
  readonly onTrailer?: (trailer: HeaderMap) => void;
  /** Cancels the call, which then ends with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls methods over any `HttpService`: an HTTP/2 connection, a `GrpcChannel`, or a `GrpcServer`
 * of the same process. Every failure is a `GrpcError`.
 */
export class GrpcClient {
  readonly #service: HttpService;
  readonly #options: GrpcClientOptions;

  constructor(service: HttpService, options: GrpcClientOptions) {
    this.#service = service;
    this.#options = options;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const call = this.#start(method, options);
    void call.send(EncodedMessage.of(method.input, request));
    call.sendEnd();
    return await single(call);
  }

  /** Begins at once. Leaving the iteration cancels the call. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncIterableIterator<MessageShape<O>> {
    const call = this.#start(method, options);
    void call.send(EncodedMessage.of(method.input, request));
    call.sendEnd();
    return call.answers;
  }

  /** What `requests` throws cancels the call, and is the cause of its error. */
  async clientStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const call = this.#start(method, options);
    void sendAll(call, method.input, requests);
    return await single(call);
  }

  /**
   * Begins at once. Leaving the iteration cancels the call; so does what `requests` throws, which
   * is then the cause of the call's error.
   */
  bidi<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options: CallOptions = {},
  ): AsyncIterableIterator<MessageShape<O>> {
    const call = this.#start(method, options);
    void sendAll(call, method.input, requests);
    return call.answers;
  }

  #start<O extends DescMessage>(
    method: DescMethod & { readonly output: O },
    options: CallOptions,
  ): ClientCall<O> {
    const { maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, side = "server" } = this.#options;
    const call = new ClientCall(method, { ...options, maxMessageBytes, side });
    call.start(this.#service, this.#head(method, options));
    return call;
  }

  #head(method: DescMethod, options: CallOptions): RequestHead {
    const { authority, scheme = "http", userAgent = "grpc-heddle", metadata } = this.#options;
    const headers = new HeaderMap();
    headers.append("te", "trailers");
    headers.append("content-type", "application/grpc");
    headers.append("user-agent", userAgent);
    if (options.timeoutMs !== undefined) {
      headers.append("grpc-timeout", formatGrpcTimeout(options.timeoutMs));
    }
    if (metadata !== undefined) copyMetadata(metadata, headers);
    if (options.metadata !== undefined) copyMetadata(options.metadata, headers);
    return {
      method: "POST",
      scheme,
      authority,
      path: `/${method.parent.typeName}/${method.name}`,
      version: "2",
      headers,
      absoluteForm: false,
      upgrade: false,
      contentLength: -1,
    };
  }
}

/** Sends every message, waiting where the server is slow, until the call ends. Never rejects. */
async function sendAll<I extends DescMessage>(
  call: ClientCall<DescMessage>,
  schema: I,
  requests: AsyncIterable<MessageInitShape<I>>,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  // Whoever makes the requests may be waiting for something that never comes now.
  call.onEnd(() => void iterator.return?.().catch(() => {}));
  try {
    while (!call.isEnded) {
      const next = await iterator.next();
      if (next.done === true) {
        call.sendEnd();
        return;
      }
      const opened = call.send(EncodedMessage.of(schema, next.value));
      if (opened !== undefined) await opened;
    }
  } catch (cause) {
    const message = "Cannot finish call: its requests failed";
    call.cancel(new GrpcError(GrpcStatus.cancelled, message, { cause }));
  }
}

/** The one answer of a call that has ended well. */
async function single<O extends DescMessage>(call: ClientCall<O>): Promise<MessageShape<O>> {
  let answer: MessageShape<O> | undefined;
  for await (const message of call.answers) {
    if (answer !== undefined) {
      throw new GrpcError(GrpcStatus.unimplemented, "Cannot read answer: there is more than one");
    }
    answer = message;
  }
  if (answer === undefined) {
    throw new GrpcError(GrpcStatus.unimplemented, "Cannot read answer: there is none");
  }
  return answer;
}
