import { MeshError, type Side } from "@heddle/base/errors";

export type Http1ErrorCode =
  | "http1_bad_start_line"
  | "http1_bad_target"
  | "http1_bad_version"
  | "http1_bad_field"
  | "http1_bad_line_end"
  | "http1_bad_host"
  | "http1_bad_framing"
  | "http1_unknown_coding"
  | "http1_bad_chunk"
  | "http1_bad_trailer"
  | "http1_target_too_long"
  | "http1_head_too_large"
  | "http1_too_many_fields"
  | "http1_trailers_too_large";

/**
 * Why bytes are no HTTP/1 message, and the status that a server refuses a request with. The client
 * side of a proxy answers every one of them with 502, since there the peer is at fault.
 */
export const HTTP1_ERRORS: Readonly<Record<Http1ErrorCode, number>> = {
  /** Request line or status line: grammar, charset, spaces. */
  http1_bad_start_line: 400,
  /** The request target: form, charset, authority, form and method do not fit. */
  http1_bad_target: 400,
  /** Not HTTP/1.0 or HTTP/1.1. */
  http1_bad_version: 505,
  /** A field line: name, colon, folding, control bytes. */
  http1_bad_field: 400,
  /** A line that ends in a bare LF, or holds a bare CR. */
  http1_bad_line_end: 400,
  /** `host`: several, or no authority. */
  http1_bad_host: 400,
  /** `content-length` and `transfer-encoding`: together, several, malformed, out of place. */
  http1_bad_framing: 400,
  /** A transfer coding other than a single `chunked`. */
  http1_unknown_coding: 501,
  /** A chunk's size, extension or line end. */
  http1_bad_chunk: 400,
  /** A trailer that would change framing or routing. */
  http1_bad_trailer: 400,
  http1_target_too_long: 414,
  http1_head_too_large: 431,
  http1_too_many_fields: 431,
  http1_trailers_too_large: 431,
};

/** @param side - `client` for a request, `server` for a response: whoever wrote the bytes. */
export function http1Error(code: Http1ErrorCode, side: Side, found: string): MeshError {
  return new MeshError(code, side, `Cannot parse HTTP/1 message: ${found}`);
}

/** The status for a refused request; 400 for what is not of this table. */
export function statusOfHttp1Error(code: string): number {
  return (HTTP1_ERRORS as Readonly<Record<string, number>>)[code] ?? 400;
}

/** Whether bytes that do not parse are the reason, and not something that was thrown by a sink. */
export function isHttp1Error(error: unknown): error is MeshError {
  return error instanceof MeshError && Object.hasOwn(HTTP1_ERRORS, error.code);
}
