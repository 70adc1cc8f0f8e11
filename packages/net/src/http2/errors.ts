import { MeshError, type MeshErrorOptions, type Side } from "@heddle/base/errors";

export type Http2ErrorCode =
  /** The peer reset the stream; `h2Reason` says why. */
  | "h2_reset"
  /** The peer's GOAWAY says that it did not and will not process the stream. */
  | "h2_goaway"
  /** The peer broke the protocol, on this stream or the connection. */
  | "h2_protocol"
  /** The peer exceeded a budget: `docs/threat-model.md`. */
  | "h2_flood";

/** An error that HTTP/2 has a number for: it goes out as RST_STREAM with the same number. */
export class Http2Error extends MeshError {
  override readonly name: string = "Http2Error";
  /** RFC 9113 §7: `ErrorCode` of `wire/http2/frame`, or one we do not know. */
  readonly h2Reason: number;

  constructor(
    code: Http2ErrorCode,
    side: Side,
    message: string,
    options: MeshErrorOptions & { readonly h2Reason: number },
  ) {
    super(code, side, message, options);
    this.h2Reason = options.h2Reason;
  }
}

/**
 * The reason that a stream is to be reset with. Only of the error itself, never of its causes: a
 * layer that wraps an `Http2Error` in one of its own does so to keep the number from its client.
 */
export function h2ReasonOf(error: MeshError): number | undefined {
  return error instanceof Http2Error ? error.h2Reason : undefined;
}
