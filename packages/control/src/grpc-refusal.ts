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

/** A refusal as the gRPC error that it names. Anything else thrown stays what it is. */
export function asGrpcError(thrown: unknown): unknown {
  if (!(thrown instanceof MeshError) || !Object.hasOwn(STATUS, thrown.code)) return thrown;
  const status = STATUS[thrown.code as RefusalCode];
  return new GrpcError(status, thrown.message, { side: thrown.side, cause: thrown });
}

/** Waits for an answer; a refusal on the way becomes the gRPC status that it names. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asGrpcError(error);
  }
}
