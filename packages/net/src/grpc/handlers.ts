import type {
  DescMessage,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { PeerCredentials, SocketAddress } from "../transport.ts";
import type { AnswerFeed } from "./answer-feed.ts";
import type { EncodedMessage } from "./encoded-message.ts";

/** Who calls, as the connection knows it. */
export interface GrpcPeer {
  /** Undefined on a unix socket, and if nobody said. */
  readonly address?: SocketAddress | undefined;
  /** What the peer's certificate proved; undefined without one. */
  readonly identity?: string | undefined;
  /** On a unix socket. */
  readonly credentials?: PeerCredentials | undefined;
}

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly authority: string;
  /**
   * Every header field of the request, those of the protocol included. Forgotten once a feed of
   * answers is attached.
   */
  readonly metadata: HeaderMap;
  readonly peer: GrpcPeer;
  /**
   * Aborts, with a `GrpcError`, when nobody waits for the answer any more: cancelled, out of time,
   * connection lost, server closing. Not at a call's regular end.
   */
  readonly signal: AbortSignal;
  /** Milliseconds until the deadline, 0 once it has passed; undefined without one. */
  remainingMs(): number | undefined;
  /** Sent before the first message, or by `sendHeader`; later changes do nothing. */
  readonly header: HeaderMap;
  /** Sent after the last message. */
  readonly trailer: HeaderMap;
  /** Sends the header now: a stream whose first message may take long has begun. */
  sendHeader(): void;
}

/** What a handler may answer with: a message, the fields of one, or one that is encoded already. */
export type Answer<O extends DescMessage> = MessageInitShape<O> | EncodedMessage;

/** Many answers: iterated over, or pushed. */
export type Answers<O extends DescMessage> = AsyncIterable<Answer<O>> | AnswerFeed<Answer<O>>;

/** The handler of one method, by its kind. */
export type Handler<M> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => Promise<Answer<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => Answers<O>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<Answer<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Answers<O>
          : never;

/** The handlers of a service. What is left out answers UNIMPLEMENTED. */
export type Handlers<S extends { readonly method: object }> = {
  readonly [K in keyof S["method"]]?: Handler<S["method"][K]>;
};

/** A handler as the server keeps it, when its types have done their work. */
export type AnyHandler = (
  request: unknown,
  context: CallContext,
) => Promise<Answer<DescMessage>> | Answers<DescMessage>;
