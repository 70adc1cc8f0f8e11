import { copyRange } from "@heddle/base/bytes";
import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { BodySink, Flow, HttpService, RequestHead, ResponseSink } from "../http.ts";

/**
 * A request whose service is not there yet. Its sender is paused from the start, so what is kept is
 * what it sends before it minds: of a gRPC call, one message.
 */
export class WaitingCall implements BodySink {
  readonly #head: RequestHead;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  readonly #onAbort: () => void;
  readonly #chunks: Uint8Array[] = [];
  #end: { readonly trailers: HeaderMap | undefined } | undefined;
  #sink: BodySink | undefined;
  /** Why its caller lost interest. */
  #aborted: MeshError | undefined;
  #isOver = false;

  /** @param onAbort - Its caller lost interest while it waited. */
  constructor(head: RequestHead, flow: Flow, response: ResponseSink, onAbort: () => void) {
    this.#head = head;
    this.#flow = flow;
    this.#response = response;
    this.#onAbort = onAbort;
    flow.pause();
  }

  /** Sends it, and what came of its body. */
  proceed(service: HttpService): void {
    // First, as the service may pause the sender right away.
    this.#flow.resume();
    const sink = service.call(this.#head, this.#flow, this.#response);
    for (const chunk of this.#chunks) sink.data(chunk, 0, chunk.length);
    this.#chunks.length = 0;
    this.#sink = sink;
    if (this.#aborted !== undefined) sink.abort(this.#aborted);
    else if (this.#end !== undefined) sink.end(this.#end.trailers);
  }

  /** It will not be sent. */
  fail(reason: MeshError): void {
    this.#isOver = true;
    this.#chunks.length = 0;
    this.#response.abort(reason);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#sink !== undefined) this.#sink.data(bytes, start, end);
    else if (!this.#isOver) this.#chunks.push(copyRange(bytes, start, end));
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#sink !== undefined) this.#sink.end(trailers);
    else this.#end = { trailers };
  }

  abort(reason: MeshError): void {
    if (this.#sink !== undefined) this.#sink.abort(reason);
    else if (!this.#isOver) {
      this.#isOver = true;
      this.#aborted = reason;
      this.#onAbort();
    }
  }
}
