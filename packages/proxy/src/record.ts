import type { RequestHead } from "@heddle/net/http";
import { type Classifier, HTTP_CLASSIFIER } from "./http/classify.ts";
import type { RetryPolicy } from "./http/retry-policy.ts";
import type { Meta } from "./meta.ts";

/** Who sent a request: one per connection. */
export interface ClientInfo {
  readonly ip: string;
  readonly port: number;
  /** Its verified identity; undefined if it is not meshed. */
  readonly tlsId: string | undefined;
}

/**
 * What is known of one request, filled in by each layer that decides something: what tap, traces,
 * access logs and `explain` read, and how layers tell those below them what was decided.
 *
 * Pooled: it belongs to its request until the edge has seen the end of both bodies. Times are those
 * of the runtime's clock.
 */
export class RequestRecord {
  client: ClientInfo | undefined = undefined;
  method = "";
  authority = "";
  path = "";
  startedMs = 0;
  /** When the head of the answer came; 0: not yet. */
  headMs = 0;
  status = 0;
  /** From headers or trailers; -1: none. */
  grpcStatus = -1;
  requestBytes = 0;
  responseBytes = 0;
  /** The code of the error that ended it; empty: none. */
  error = "";
  /** Why it was refused, in words; set with errors of our own only. */
  reason = "";
  parent: Meta | undefined = undefined;
  route: Meta | undefined = undefined;
  backend: Meta | undefined = undefined;
  /** `ip:port` of the last endpoint it was sent to. */
  endpoint = "";
  /** Times it was sent. */
  attempts = 0;

  // What layers above decided for layers below.
  classifier: Classifier = HTTP_CLASSIFIER;
  retry: RetryPolicy | undefined = undefined;
  /** The whole exchange, all attempts; 0: unbounded. A time, not a duration. */
  deadlineMs = 0;
  /** From the end of the request's body; 0: unbounded. */
  responseTimeoutMs = 0;
  /** Between frames of bodies; 0: unbounded. */
  idleTimeoutMs = 0;
  /** From the end of the request's body to the answer's head, for this attempt; 0: unbounded. */
  attemptTimeoutMs = 0;
  /** What a redirect may replace: how much of the path the route's match took. */
  prefixLength: number | undefined = undefined;
  /** Came as HTTP/1 over HTTP/2. */
  isOrigProto = false;
  /** The answer was made here, by a filter or an error; no remote one. */
  isSynthesized = false;
  /** Whoever serves the client's connection shall close it after this exchange. */
  closesConnection = false;

  reset(): void {
    this.client = undefined;
    this.method = "";
    this.authority = "";
    this.path = "";
    this.startedMs = 0;
    this.headMs = 0;
    this.status = 0;
    this.grpcStatus = -1;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.error = "";
    this.reason = "";
    this.parent = undefined;
    this.route = undefined;
    this.backend = undefined;
    this.endpoint = "";
    this.attempts = 0;
    this.classifier = HTTP_CLASSIFIER;
    this.retry = undefined;
    this.deadlineMs = 0;
    this.responseTimeoutMs = 0;
    this.idleTimeoutMs = 0;
    this.attemptTimeoutMs = 0;
    this.prefixLength = undefined;
    this.isOrigProto = false;
    this.isSynthesized = false;
    this.closesConnection = false;
  }
}

const MAX_POOLED = 1_024;

export class RecordPool {
  readonly #free: RequestRecord[] = [];

  /** Hot. */
  take(): RequestRecord {
    return this.#free.pop() ?? new RequestRecord();
  }

  /** Hot. The caller keeps no reference. */
  give(record: RequestRecord): void {
    record.reset();
    if (this.#free.length < MAX_POOLED) this.#free.push(record);
  }
}

/** The record that the edge put on the head. */
export function recordOf(head: RequestHead): RequestRecord {
  return head.context as RequestRecord;
}
