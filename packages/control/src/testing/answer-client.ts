import type { AnswerFeed, AnswerSink } from "@heddle/net/grpc/answer-feed";

/** A client of a feed that takes what it is sent while it is open. */
export class AnswerClient<A> implements AnswerSink<A> {
  isOpen = true;
  readonly seen: (A | "end")[] = [];

  /** A client of `feed`. */
  static of<A>(feed: AnswerFeed<A>): AnswerClient<A> {
    const client = new AnswerClient<A>();
    feed.attach(client);
    return client;
  }

  send(answer: A): void {
    this.seen.push(answer);
  }

  complete(): void {
    this.seen.push("end");
  }
}
