import type { MeshError } from "@heddle/base/errors";
import {
  type BodySink,
  type Flow,
  type HttpService,
  NO_FLOW,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import { HeaderMap } from "@heddle/wire/http/headers";

/** A GET of `/` on `a`, or what `changes` makes of it. */
export function requestHead(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    scheme: "",
    authority: "",
    path: "/",
    version: "1.1",
    headers: HeaderMap.of({ host: "a" }),
    absoluteForm: false,
    upgrade: false,
    contentLength: 0,
    ...changes,
  };
}

export function responseHead(changes: Partial<ResponseHead> = {}): ResponseHead {
  return { status: 200, version: "1.1", headers: new HeaderMap(), contentLength: 0, ...changes };
}

/** A body's sink that remembers, and overwrites nothing of what it is lent. */
export class BodyRecorder implements BodySink {
  /** One character per byte. */
  text = "";
  trailers: HeaderMap | undefined;
  /** How often each ending was heard; more than one in all is the sender's bug. */
  ends = 0;
  aborts = 0;
  reason: MeshError | undefined;
  /** Resolves at `end` or `abort`. */
  readonly done: Promise<void>;
  #resolveDone!: () => void;

  constructor() {
    this.done = new Promise((resolve) => {
      this.#resolveDone = resolve;
    });
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (this.ends + this.aborts > 0) throw new Error("Body goes on after its end");
    this.text += Buffer.from(bytes.subarray(start, end)).toString("latin1");
  }

  end(trailers: HeaderMap | undefined): void {
    if (this.ends + this.aborts > 0) throw new Error("Body ends twice");
    this.ends++;
    this.trailers = trailers;
    this.#resolveDone();
  }

  abort(reason: MeshError): void {
    this.aborts++;
    this.reason = reason;
    this.#resolveDone();
  }
}

/** A response's sink that remembers. */
export class ResponseRecorder extends BodyRecorder implements ResponseSink {
  heads: ResponseHead[] = [];
  informationals: ResponseHead[] = [];
  flow: Flow = NO_FLOW;
  /** Resolves at `head`, or when there will be none. */
  readonly answered: Promise<void>;
  #resolveAnswered!: () => void;

  constructor() {
    super();
    this.answered = new Promise((resolve) => {
      this.#resolveAnswered = resolve;
    });
  }

  get status(): number | undefined {
    return this.heads[0]?.status;
  }

  informational(head: ResponseHead): void {
    this.informationals.push(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    if (this.ends + this.aborts + this.heads.length > 0) throw new Error("A head that is late");
    this.heads.push(head);
    this.flow = flow;
    this.#resolveAnswered();
  }

  override abort(reason: MeshError): void {
    super.abort(reason);
    this.#resolveAnswered();
  }
}

/** A flow that counts. */
export class FlowRecorder implements Flow {
  isPaused = false;
  pauses = 0;
  resumes = 0;

  pause(): void {
    this.isPaused = true;
    this.pauses++;
  }

  resume(): void {
    this.isPaused = false;
    this.resumes++;
  }
}

/** One request as a service heard it, to be answered by the test. */
export class ServedRequest extends BodyRecorder {
  readonly head: RequestHead;
  readonly flow: Flow;
  readonly response: ResponseSink;

  constructor(head: RequestHead, flow: Flow, response: ResponseSink) {
    super();
    this.head = head;
    this.flow = flow;
    this.response = response;
  }

  /** A whole answer at once; its body has a declared length unless `head` says otherwise. */
  answer(text = "", head: Partial<ResponseHead> = {}): void {
    this.response.head(responseHead({ contentLength: text.length, ...head }), NO_FLOW);
    this.send(text);
    this.response.end(undefined);
  }

  /** A piece of the answer's body, in a range that is overwritten after it was lent. */
  send(text: string): void {
    const bytes = Buffer.from(`..${text}..`, "latin1");
    if (text !== "") this.response.data(bytes, 2, bytes.length - 2);
    bytes.fill(0xee);
  }
}

/** Keeps what it is asked, and lets `onRequest` answer, within `call`. */
export class RecordingService implements HttpService {
  readonly requests: ServedRequest[] = [];
  readonly #onRequest: (request: ServedRequest) => void;

  constructor(onRequest: (request: ServedRequest) => void = () => {}) {
    this.#onRequest = onRequest;
  }

  call(head: RequestHead, flow: Flow, response: ResponseSink): BodySink {
    const request = new ServedRequest(head, flow, response);
    this.requests.push(request);
    this.#onRequest(request);
    return request;
  }
}

/** `name: value` for each field, in order. */
export function fieldsOf(headers: HeaderMap): string[] {
  return Array.from(
    { length: headers.size },
    (_, index) => `${headers.nameAt(index)}: ${headers.valueAt(index)}`,
  );
}

/** Lets everything that waits for a turn of the event loop happen. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
