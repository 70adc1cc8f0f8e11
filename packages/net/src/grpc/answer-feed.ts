import type { GrpcError } from "./error.ts";

/** Where pushed answers go: one call. */
export interface AnswerSink<A> {
  /** False while the client takes nothing. What is sent nevertheless is kept for it. */
  readonly isOpen: boolean;
  send(answer: A): void;
  /** The last word: OK, or `error`. Nothing more happens then, in either direction. */
  complete(error: GrpcError | undefined): void;
}

/**
 * Answers that whoever makes them pushes, where an iteration would pull them. A stream that waits
 * for the next change holds neither generator nor promise, which matters where there are a hundred
 * thousand.
 */
export interface AnswerFeed<A> {
  /** Once, and first. Answers may be sent at once, and from then on. */
  attach(sink: AnswerSink<A>): void;
  /** The sink is open again. */
  resume(): void;
  /** The call ended before the feed completed it: nothing more is wanted. */
  detach(): void;
}

export function isFeed<A>(answer: object): answer is AnswerFeed<A> {
  return "attach" in answer;
}
