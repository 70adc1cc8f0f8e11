import type { Clock } from "@heddle/base/clock";
import type { MeshError } from "@heddle/base/errors";
import {
  type BodySink,
  DISCARD,
  type Flow,
  type HttpService,
  type RequestHead,
  type ResponseHead,
  type ResponseSink,
} from "@heddle/net/http";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { grpcStatusOf, PENDING, type ResponseClass } from "../http/classify.ts";
import { errorLabel } from "../http/metrics.ts";
import { type RequestRecord, recordOf } from "../record.ts";
import type { AdmittedService } from "./admission.ts";
import type { AdmittedMetrics } from "./metrics.ts";

/** Measures requests to the application. One per connection. */
export class MeasuredApp implements AdmittedService {
  readonly #inner: HttpService;
  readonly #clock: Clock;
  readonly #endpoint: string;

  constructor(inner: HttpService, clock: Clock, endpoint: string) {
    this.#inner = inner;
    this.#clock = clock;
    this.#endpoint = endpoint;
  }

  /** Hot: two objects. */
  call(head: RequestHead, flow: Flow, response: ResponseSink, metrics: AdmittedMetrics): BodySink {
    const record = recordOf(head);
    record.endpoint = this.#endpoint;
    record.attempts = 1;
    metrics.requests.inc();
    const exchange = new AppExchange(this.#clock, metrics, record, response);
    if (head.contentLength === 0) exchange.requested();
    const request = new AppRequest(exchange);
    request.inner = this.#inner.call(head, flow, exchange);
    return request;
  }
}

class AppExchange implements ResponseSink {
  readonly metrics: AdmittedMetrics;
  readonly #clock: Clock;
  readonly #record: RequestRecord;
  readonly #response: ResponseSink;
  readonly #startedMs: number;
  #requestEndMs = 0;
  #status = 0;
  #class: ResponseClass = PENDING;
  #isRequested = false;
  #isLatencyKnown = false;
  #isDone = false;

  constructor(
    clock: Clock,
    metrics: AdmittedMetrics,
    record: RequestRecord,
    response: ResponseSink,
  ) {
    this.#clock = clock;
    this.metrics = metrics;
    this.#record = record;
    this.#response = response;
    this.#startedMs = clock.nowMs();
  }

  /** The request has shown its first body, or had none. */
  requested(): void {
    if (this.#isRequested) return;
    this.#isRequested = true;
    this.metrics.endpoint.requested();
  }

  requestEnded(): void {
    this.requested();
    this.#requestEndMs = this.#clock.nowMs();
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    this.#status = head.status;
    this.#class = this.#record.classifier.atHead(head.status, head.headers);
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#isLatencyKnown) this.#firstData();
    this.metrics.responseFrames.observe(end - start);
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#finish(trailers);
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    if (!this.#isDone) {
      this.#isDone = true;
      const label = errorLabel(reason.code, h2ReasonOf(reason));
      this.metrics.endpoint.failed(this.#status, label);
      this.#firstData();
      this.#ended("");
    }
    this.#response.abort(reason);
  }

  /** The client wants no more of it. */
  cancelled(): void {
    if (this.#isDone) return;
    if (this.#status !== 0) this.#finish(undefined);
    else {
      this.#isDone = true;
      this.#ended("");
    }
  }

  #finish(trailers: HeaderMap | undefined): void {
    if (this.#isDone) return;
    this.#isDone = true;
    const found =
      this.#class === PENDING ? this.#record.classifier.atEnd(this.#status, trailers) : this.#class;
    if (!this.#isLatencyKnown) this.#firstData();
    this.metrics.endpoint.responded(this.#status, found);
    const grpc = grpcStatusOf(found);
    this.#ended(String(grpc < 0 ? this.#status : grpc));
  }

  #firstData(): void {
    this.#isLatencyKnown = true;
    if (this.#status === 0) return;
    this.metrics.endpoint.latency(this.#status, this.#clock.nowMs() - this.#startedMs);
  }

  #ended(status: string): void {
    const nowMs = this.#clock.nowMs();
    this.metrics.requestSeconds.observe((nowMs - this.#startedMs) / 1_000);
    if (this.#requestEndMs > 0) {
      this.metrics.responseSeconds.observe((nowMs - this.#requestEndMs) / 1_000);
    }
    this.metrics.ended(status);
  }
}

class AppRequest implements BodySink {
  readonly #exchange: AppExchange;
  inner: BodySink = DISCARD;

  constructor(exchange: AppExchange) {
    this.#exchange = exchange;
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#exchange.requested();
    this.#exchange.metrics.requestFrames.observe(end - start);
    this.inner.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#exchange.requestEnded();
    this.inner.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#exchange.cancelled();
    this.inner.abort(reason);
  }
}
