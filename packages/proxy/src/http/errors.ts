import { MeshError, messageOf } from "@heddle/base/errors";
import type { RequestHead, ResponseHead, ResponseSink } from "@heddle/net/http";
import { NO_FLOW } from "@heddle/net/http";
import { HeaderMap } from "@heddle/wire/http/headers";
import type { RequestRecord } from "../record.ts";
import { isGrpc } from "./classify.ts";

/** An error that says itself how to answer: filters of routes. */
export class FilterError extends MeshError {
  /** Of the HTTP answer. */
  readonly status: number;
  readonly grpcStatus: number;
  readonly location: string | undefined;

  constructor(code: string, message: string, answer: FilterAnswer) {
    super(code, "self", message);
    this.status = answer.status;
    this.grpcStatus = answer.grpcStatus;
    this.location = answer.location;
  }
}

export interface FilterAnswer {
  readonly status: number;
  readonly grpcStatus: number;
  readonly location?: string;
}

interface Answer {
  readonly status: number;
  readonly grpcStatus: number;
  /** The client's connection is closed after it. */
  readonly isFatal: boolean;
  /** Said to clients in place of the error's own words. */
  readonly message?: string;
}

/** Which error is answered how: `proxy-behaviour` 9.4. What is not here is an unexpected error. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  no_route: { status: 404, grpcStatus: 5, isFatal: false },
  unauthorized: { status: 403, grpcStatus: 7, isFatal: false },
  rate_limited: { status: 429, grpcStatus: 8, isFatal: false },
  gateway_loop: { status: 508, grpcStatus: 10, isFatal: true },
  fail_fast: { status: 504, grpcStatus: 4, isFatal: true },
  load_shed: { status: 503, grpcStatus: 14, isFatal: true },
  request_timeout: { status: 504, grpcStatus: 4, isFatal: false },
  response_headers_timeout: { status: 504, grpcStatus: 4, isFatal: false },
  response_stream_timeout: { status: 504, grpcStatus: 4, isFatal: false },
  idle_timeout: { status: 504, grpcStatus: 4, isFatal: false },
  profile_timeout: { status: 504, grpcStatus: 4, isFatal: true },
  identity_required: { status: 502, grpcStatus: 14, isFatal: true },
  no_dispatcher: { status: 502, grpcStatus: 14, isFatal: true },
  connect_timeout: { status: 504, grpcStatus: 4, isFatal: true },
  orig_proto_reset: { status: 502, grpcStatus: 14, isFatal: true },
};

/** Ours alone: tells a meshed client which rule of the server's policy refused its request. */
export const REFUSED_BY = "heddle-refused-by";

const POLICY_REFUSALS: ReadonlySet<string> = new Set(["unauthorized", "rate_limited"]);

/** Failures to connect, or of a connection: all answered alike. */
const BROKEN: Answer = { status: 502, grpcStatus: 14, isFatal: true };
const UNEXPECTED: Answer = {
  status: 500,
  grpcStatus: 13,
  isFatal: true,
  message: "unexpected error",
};

/** Errors of the way to an endpoint: they become answers close to it, so that metrics see them. */
export function isEndpointError(error: MeshError): boolean {
  return error.code === "orig_proto_reset" || isConnectionError(error.code);
}

/** What `net` calls the ways in which a connection cannot be made, or is lost. */
function isConnectionError(code: string): boolean {
  return (
    /^(connect|connection|tls|certificate|h2|http1)_/.test(code) || CONNECTION_ERRORS.has(code)
  );
}

const CONNECTION_ERRORS: ReadonlySet<string> = new Set([
  "bad_certificate",
  "identity_mismatch",
  "io_error",
  "keep_alive_timeout",
  "send_buffer_full",
  "shutdown_grace",
  "socket_option",
]);

function answerTo(error: MeshError): Answer {
  if (error instanceof FilterError) {
    return { status: error.status, grpcStatus: error.grpcStatus, isFatal: false };
  }
  const known = ANSWERS[error.code];
  if (known !== undefined) return known;
  if (isConnectionError(error.code)) return BROKEN;
  return UNEXPECTED;
}

/**
 * The one place where errors become responses. Writes head and end to `response`.
 *
 * @param tellsWhy - Whether the client may read our words: `l5d-proxy-error` and its like.
 */
export function respondToError(
  error: MeshError,
  head: RequestHead,
  record: RequestRecord,
  response: ResponseSink,
  tellsWhy: boolean,
): void {
  const answer = answerTo(error);
  const headers = new HeaderMap();
  const message = headerText(answer.message ?? messageOf(error));
  record.isSynthesized = true;
  record.error = error.code;
  record.reason = message;
  const grpc = head.version === "2" && isGrpc(head.headers);
  if (grpc) {
    const isInjectedHttp = error.code === "injected_http";
    headers.append("content-type", "application/grpc");
    headers.append("grpc-status", String(answer.grpcStatus));
    if (tellsWhy || isInjectedHttp) headers.append("grpc-message", grpcMessage(message));
  } else if (error instanceof FilterError && error.location !== undefined) {
    headers.append("location", error.location);
  }
  headers.append("content-length", "0");
  if (tellsWhy) headers.append("l5d-proxy-error", message);
  // Another proxy takes `l5d-proxy-error` away; what a policy says is for whoever asked.
  if (tellsWhy && POLICY_REFUSALS.has(error.code)) headers.append(REFUSED_BY, message);
  if (answer.isFatal) {
    record.closesConnection = true;
    if (head.version !== "2") headers.append("connection", "close");
    if (tellsWhy) headers.append("l5d-proxy-connection", "close");
  }
  const status = grpc ? 200 : answer.status;
  const out: ResponseHead = { status, version: head.version, headers, contentLength: 0 };
  response.head(out, NO_FLOW);
  response.end(undefined);
}

/**
 * The gRPC status that stands in the trailers of a stream whose body broke off: INTERNAL, unless the
 * proxy itself ended it.
 */
export function trailersFor(error: MeshError, tellsWhy: boolean): HeaderMap {
  const trailers = new HeaderMap();
  const { grpcStatus } = ANSWERS[error.code] ?? UNEXPECTED;
  trailers.append("grpc-status", String(grpcStatus));
  if (tellsWhy) trailers.append("grpc-message", grpcMessage(headerText(messageOf(error))));
  return trailers;
}

/** The same for an answer of which the client has seen nothing yet: as if no head had come. */
export function unseenTrailersFor(error: MeshError): HeaderMap {
  return HeaderMap.of({ "grpc-status": String(answerTo(error).grpcStatus) });
}

/** Header values hold visible ASCII and blanks; whatever else a message has becomes `?`. */
function headerText(text: string): string {
  return text.length > 1_024
    ? headerText(text.slice(0, 1_024))
    : text.replace(/[^\x20-\x7e]/g, "?");
}

/** Percent-encoded as gRPC wants it. */
function grpcMessage(text: string): string {
  return text.replaceAll("%", "%25");
}
