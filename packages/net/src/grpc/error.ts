import type { Any } from "@bufbuild/protobuf/wkt";
import { MeshError, type Side } from "@heddle/base/errors";
import { HeaderMap } from "@heddle/wire/http/headers";
import { Http2Error } from "../http2/errors.ts";
import { GrpcStatus, grpcStatusName, grpcStatusOfReset } from "./status.ts";

export interface GrpcErrorOptions extends ErrorOptions {
  /** Default: `client` for what is the caller's fault, `self` for internal errors, else `server`. */
  readonly side?: Side;
  /** Default: true for UNAVAILABLE, else false. */
  readonly retryable?: boolean;
  /** What `grpc-status-details-bin` carries beside status and message. */
  readonly details?: readonly Any[];
  /** A server's: sent as trailers. A client's: the trailers that the server's handler set. */
  readonly metadata?: HeaderMap;
}

/** A call that ended with a status other than OK. A handler throws it to choose the status. */
export class GrpcError extends MeshError {
  override readonly name: string = "GrpcError";
  readonly status: GrpcStatus;
  readonly details: readonly Any[];
  readonly metadata: HeaderMap;

  /** @param message - As it goes to the peer: nothing in it that the peer must not know. */
  constructor(status: GrpcStatus, message: string, options: GrpcErrorOptions = {}) {
    super(`grpc_${grpcStatusName(status)}`, options.side ?? sideOf(status), message, {
      ...("cause" in options ? { cause: options.cause } : {}),
      retryable: options.retryable ?? status === GrpcStatus.unavailable,
    });
    this.status = status;
    this.details = options.details ?? [];
    this.metadata = options.metadata ?? new HeaderMap();
  }
}

/**
 * The one table of what a server answers to anything thrown. What is no `MeshError` is a bug: its
 * message stays here, and `isBug` says that it must be logged.
 */
export function toGrpcError(thrown: unknown): {
  readonly error: GrpcError;
  readonly isBug: boolean;
} {
  if (thrown instanceof GrpcError) return { error: thrown, isBug: false };
  if (!(thrown instanceof MeshError)) {
    const error = new GrpcError(GrpcStatus.internal, "internal error", { cause: thrown });
    return { error, isBug: true };
  }
  const status = thrown.retryable ? GrpcStatus.unavailable : STATUS_OF_SIDE[thrown.side];
  const error = new GrpcError(status, thrown.message, { side: thrown.side, cause: thrown });
  return { error, isBug: false };
}

const STATUS_OF_SIDE = {
  client: GrpcStatus.invalidArgument,
  server: GrpcStatus.unavailable,
  control: GrpcStatus.unavailable,
  self: GrpcStatus.internal,
} as const;

/** What a client makes of an answer that broke off: a reset, a lost connection, no connection. */
export function brokenOff(reason: MeshError, side: Side): GrpcError {
  if (reason instanceof GrpcError) return reason;
  const status =
    reason instanceof Http2Error && reason.code === "h2_reset"
      ? grpcStatusOfReset(reason.h2Reason)
      : GrpcStatus.unavailable;
  return new GrpcError(status, reason.message, {
    side,
    retryable: reason.retryable,
    cause: reason,
  });
}

function sideOf(status: GrpcStatus): Side {
  switch (status) {
    case GrpcStatus.cancelled:
    case GrpcStatus.invalidArgument:
    case GrpcStatus.notFound:
    case GrpcStatus.alreadyExists:
    case GrpcStatus.permissionDenied:
    case GrpcStatus.failedPrecondition:
    case GrpcStatus.outOfRange:
    case GrpcStatus.unauthenticated:
      return "client";
    case GrpcStatus.internal:
      return "self";
    default:
      return "server";
  }
}
