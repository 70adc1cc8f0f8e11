import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import { type StreamOwner, StreamQueue } from "../stream-queue.ts";
import { encodeAdd, encodeProfile, encodeRemove, type Http2Params } from "./encode.ts";
import type { EndpointUpdate, EndpointView } from "./endpoint-view.ts";
import type { ProfileView } from "./profile.ts";

/** What is counted of the streams of one view. */
export interface ViewMeter {
  opened(): void;
  closed(): void;
  updated(): void;
  overflowed(): void;
}

/** A view, in messages. */
export interface MessageSource {
  /** All there is, as a stream starts with it. */
  snapshot(): readonly EncodedMessage[];
  subscribe(publish: (messages: readonly EncodedMessage[]) => void, end: () => void): () => void;
}

/** All streams of one view: each update is encoded once, whoever waits for it. */
export class Fan implements StreamOwner<EncodedMessage> {
  readonly #source: MessageSource;
  readonly #capacity: number;
  readonly #meter: ViewMeter;
  readonly #streams = new Set<StreamQueue<EncodedMessage>>();
  /** Undefined if it must be encoded anew. */
  #snapshot: readonly EncodedMessage[] | undefined;
  #unsubscribe: (() => void) | undefined;

  /** @param capacity - Updates that may wait on each stream. */
  constructor(source: MessageSource, capacity: number, meter: ViewMeter) {
    this.#source = source;
    this.#capacity = capacity;
    this.#meter = meter;
  }

  /** A stream that starts with what there is. */
  open(): StreamQueue<EncodedMessage> {
    this.#unsubscribe ??= this.#source.subscribe(
      (messages) => this.#publish(messages),
      () => this.#endAll(),
    );
    const stream = new StreamQueue<EncodedMessage>(this.#capacity, this);
    this.#streams.add(stream);
    this.#meter.opened();
    this.#snapshot ??= this.#source.snapshot();
    for (const message of this.#snapshot) stream.push(message);
    return stream;
  }

  streamClosed(stream: StreamQueue<EncodedMessage>): void {
    this.#streams.delete(stream);
    this.#meter.closed();
    if (this.#streams.size > 0) return;
    this.#snapshot = undefined;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  #publish(messages: readonly EncodedMessage[]): void {
    this.#snapshot = undefined;
    this.#meter.updated();
    for (const stream of [...this.#streams]) {
      for (const message of messages) {
        if (stream.push(message)) continue;
        this.#meter.overflowed();
        break;
      }
    }
  }

  #endAll(): void {
    for (const stream of [...this.#streams]) stream.end();
  }
}

export function endpointMessages(
  view: EndpointView,
  http2: Http2Params | undefined,
): MessageSource {
  const encode = ({ add, remove, labels }: EndpointUpdate): readonly EncodedMessage[] => [
    ...encodeAdd(add, labels, http2),
    ...encodeRemove(remove),
  ];
  return {
    snapshot: () => (view.snapshot === undefined ? [] : encode(view.snapshot)),
    subscribe: (publish) => view.subscribe((update) => publish(encode(update))),
  };
}

export function profileMessages(view: ProfileView, http2: Http2Params | undefined): MessageSource {
  return {
    snapshot: () => (view.current === undefined ? [] : [encodeProfile(view.current, http2)]),
    subscribe: (publish, end) =>
      view.subscribe({
        onProfile: (profile) => publish([encodeProfile(profile, http2)]),
        onEnd: end,
      }),
  };
}
