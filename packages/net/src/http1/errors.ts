import { MeshError, type Side } from "@heddle/base/errors";

/**
 * What goes wrong on HTTP/1 connections, beside bytes that do not parse (`HTTP1_ERRORS` of
 * `wire/http1/errors`) and `http1_unwritable` of its writer: a head that cannot be sent as HTTP/1.
 */
export const HTTP1_CONNECTION_ERRORS: Readonly<Record<Http1ConnectionErrorCode, string>> = {
  http1_client_gone: "the client closed its connection before the response was complete",
  http1_request_truncated: "the client closed its connection within a request body",
  http1_response_truncated: "the server closed its connection within a response body",
  http1_no_response: "the server closed its connection without a response",
  http1_body_mismatch: "a body is not of its declared length",
  http1_bad_response: "a response that its request does not allow",
  http1_request_unwanted: "the response came before the request body",
  http1_busy: "a request is under way on this connection",
  http1_closing: "the connection is closing",
  http1_pause_ignored: "a request body goes on although it was paused",
  http1_pool_closed: "the connection pool is closed",
};

export type Http1ConnectionErrorCode =
  | "http1_client_gone"
  | "http1_request_truncated"
  | "http1_response_truncated"
  | "http1_no_response"
  | "http1_body_mismatch"
  | "http1_bad_response"
  | "http1_request_unwanted"
  | "http1_busy"
  | "http1_closing"
  | "http1_pause_ignored"
  | "http1_pool_closed";

export function connectionError(
  code: Http1ConnectionErrorCode,
  side: Side,
  options: { readonly retryable?: boolean; readonly cause?: unknown } = {},
): MeshError {
  const text = HTTP1_CONNECTION_ERRORS[code];
  return new MeshError(code, side, `Cannot complete HTTP/1 exchange: ${text}`, options);
}
