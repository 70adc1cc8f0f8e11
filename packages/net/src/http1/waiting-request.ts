import type { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { BodySink, Flow, HttpService, RequestHead, ResponseSink } from "../http.ts";
import { connectionError } from "./errors.ts";

/** What may arrive after a pause. Whoever sends more does not heed pauses, and is cut off. */
const MAX_KEPT_BYTES = 1_048_576;

/**
 * A request that has no connection yet. Its body is paused at once; what its sender had in hand
 * already is kept.
 */
export class WaitingRequest implements BodySink, Flow {
  readonly head: RequestHead;
  readonly isOneOff: boolean;
  readonly #flow: Flow;
  readonly #response: ResponseSink;
  readonly #onGone: (request: WaitingRequest) => void;
  #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #isEnded = false;
  #trailers: HeaderMap | undefined;
  #isGone = false;
  #next: BodySink | undefined;
  #isSending = false;
  /** The connection paused us while we were still sending what was kept. */
  #isPausedByNext = false;

  constructor(
    head: RequestHead,
    flow: Flow,
    response: ResponseSink,
    isOneOff: boolean,
    onGone: (request: WaitingRequest) => void,
  ) {
    this.head = head;
    this.isOneOff = isOneOff;
    this.#flow = flow;
    this.#response = response;
    this.#onGone = onGone;
    flow.pause();
  }

  /** There is a connection. */
  send(service: HttpService): void {
    this.#isSending = true;
    const next = service.call(this.head, this, this.#response);
    this.#next = next;
    for (const chunk of this.#kept) next.data(chunk, 0, chunk.length);
    this.#kept = [];
    if (this.#isEnded) next.end(this.#trailers);
    this.#isSending = false;
    if (!this.#isPausedByNext) this.#flow.resume();
  }

  fail(reason: MeshError): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#kept = [];
    this.#response.abort(reason);
  }

  pause(): void {
    this.#isPausedByNext = true;
    if (!this.#isSending) this.#flow.pause();
  }

  resume(): void {
    this.#isPausedByNext = false;
    if (!this.#isSending) this.#flow.resume();
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.#next !== undefined) {
      this.#next.data(bytes, start, end);
      return;
    }
    if (this.#isGone || start === end) return;
    this.#keptBytes += end - start;
    if (this.#keptBytes > MAX_KEPT_BYTES) {
      this.#onGone(this);
      this.fail(connectionError("http1_pause_ignored", "self"));
      return;
    }
    this.#kept.push(new Uint8Array(bytes.subarray(start, end)));
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.#next !== undefined) this.#next.end(trailers);
    this.#isEnded = true;
    this.#trailers = trailers;
  }

  abort(reason: MeshError): void {
    if (this.#next !== undefined) {
      this.#next.abort(reason);
      return;
    }
    if (this.#isGone) return;
    this.#isGone = true;
    this.#kept = [];
    this.#onGone(this);
  }
}
