import { ErrorCode } from "@heddle/wire/http2/frame";

/** The status codes of gRPC. */
export const GrpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type GrpcStatus = (typeof GrpcStatus)[keyof typeof GrpcStatus];

const NAMES = [
  "ok",
  "cancelled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

/** In snake case, for error codes and metric labels. */
export function grpcStatusName(status: GrpcStatus): string {
  return NAMES[status];
}

/** Reads `grpc-status`. What is no number from 0 to 16 counts as unknown. */
export function parseGrpcStatus(text: string): GrpcStatus {
  if (!/^(?:\d|1[0-6])$/.test(text)) return GrpcStatus.unknown;
  return Number(text) as GrpcStatus;
}

/** What an answer means that came from no gRPC server: from a proxy, or a wrong address. */
export function grpcStatusOfHttp(status: number): GrpcStatus {
  switch (status) {
    case 400:
      return GrpcStatus.internal;
    case 401:
      return GrpcStatus.unauthenticated;
    case 403:
      return GrpcStatus.permissionDenied;
    case 404:
      return GrpcStatus.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.unavailable;
    default:
      return GrpcStatus.unknown;
  }
}

/** What a reset with this HTTP/2 error code means to the client. */
export function grpcStatusOfReset(reason: number): GrpcStatus {
  switch (reason) {
    case ErrorCode.refusedStream:
      return GrpcStatus.unavailable;
    case ErrorCode.cancel:
      return GrpcStatus.cancelled;
    case ErrorCode.enhanceYourCalm:
      return GrpcStatus.resourceExhausted;
    case ErrorCode.inadequateSecurity:
      return GrpcStatus.permissionDenied;
    case ErrorCode.noError:
    case ErrorCode.protocolError:
    case ErrorCode.internalError:
    case ErrorCode.flowControlError:
    case ErrorCode.settingsTimeout:
    case ErrorCode.frameSizeError:
    case ErrorCode.compressionError:
    case ErrorCode.connectError:
      return GrpcStatus.internal;
    default:
      return GrpcStatus.unknown;
  }
}
