import { MeshError } from "@heddle/base/errors";
import { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import type { RefusalCode } from "./refusal.ts";

const STATUS: Readonly<Record<RefusalCode, GrpcStatus>> = {
  invalid_argument: GrpcStatus.invalidArgument,
  not_found: GrpcStatus.notFound,
  failed_precondition: GrpcStatus.failedPrecondition,
  unavailable: GrpcStatus.unavailable,
  internal: GrpcStatus.internal,
  unknown: GrpcStatus.unknown,
  permission_denied: GrpcStatus.permissionDenied,
  unauthenticated: GrpcStatus.unauthenticated,
  resource_exhausted: GrpcStatus.resourceExhausted,
};

/** Waits for an answer; a refusal on the way becomes the gRPC status that it names. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof MeshError) || !Object.hasOwn(STATUS, error.code)) throw error;
    const status = STATUS[error.code as RefusalCode];
    throw new GrpcError(status, error.message, { side: error.side, cause: error });
  }
}
