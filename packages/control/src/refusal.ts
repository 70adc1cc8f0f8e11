import { MeshError } from "@heddle/base/errors";

/** How a call to one of our gRPC services is refused; the name of the gRPC status in lower case. */
export type RefusalCode =
  | "invalid_argument"
  | "not_found"
  | "failed_precondition"
  | "unavailable"
  | "internal"
  | "unknown"
  | "permission_denied"
  | "unauthenticated"
  | "resource_exhausted";

/** The call is refused with this status, and its message goes to the caller. */
export function refusal(code: RefusalCode, message: string, cause?: unknown): MeshError {
  // The message becomes a header field, and may end with what the caller sent: no blanks at its ends.
  const text = message.trim();
  const isCallers = code !== "unavailable" && code !== "internal" && code !== "unknown";
  return new MeshError(code, isCallers ? "client" : "self", text, {
    cause,
    retryable: code === "unavailable",
  });
}
