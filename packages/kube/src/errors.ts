import { MeshError } from "@heddle/base/errors";
import type { Status } from "./types/meta.ts";

/** Reasons that callers decide by. The server may send others; they become codes as well. */
export type Reason =
  | "NotFound"
  | "AlreadyExists"
  | "Conflict"
  | "Expired"
  | "Invalid"
  | "Forbidden"
  | "Unauthorized"
  | "TooManyRequests"
  | "Timeout"
  /** Of a `Timeout`'s cause: the server does not know our version yet, or no longer. */
  | "ResourceVersionTooLarge"
  | "ServiceUnavailable"
  | "InternalError";

const BY_STATUS: Readonly<Record<number, Reason>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  503: "ServiceUnavailable",
  504: "Timeout",
};

const TOO_LARGE: Reason = "ResourceVersionTooLarge";

/**
 * The error for an answer that is not a success. Its code is the Status' reason: `NotFound` gives
 * `kube_not_found`; 410 with `Gone` counts as `Expired`.
 */
export function statusError(action: string, httpStatus: number, body: string): MeshError {
  const status = parseStatus(body);
  let reason = status?.reason ?? "";
  if (reason === "" || !/^[A-Za-z]{1,64}$/.test(reason)) {
    reason = BY_STATUS[httpStatus] ?? (httpStatus >= 500 ? "InternalError" : "BadRequest");
  }
  if (reason === "Gone") reason = "Expired";
  if (status?.details?.causes?.some((cause) => cause?.reason === TOO_LARGE)) reason = TOO_LARGE;
  const detail = status?.message ?? firstLine(body);
  const text = `Cannot ${action}: ${httpStatus} ${reason}${detail === "" ? "" : `: ${detail}`}`;
  const retryable = httpStatus === 429 || httpStatus >= 500;
  return new MeshError(codeOf(reason), "control", text, { retryable });
}

/** A connection that failed, or an answer that is no answer. Always worth another try. */
export function connectionError(action: string, state: string, cause?: unknown): MeshError {
  const text = `Cannot ${action}: ${state}`;
  return new MeshError("kube_unreachable", "control", text, { retryable: true, cause });
}

export function hasReason(error: unknown, ...reasons: readonly Reason[]): boolean {
  return error instanceof MeshError && reasons.some((reason) => error.code === codeOf(reason));
}

function codeOf(reason: string): string {
  return `kube${reason.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
}

function parseStatus(body: string): Status | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { kind, reason, message, details } = parsed as Partial<Status>;
    if (kind !== "Status") return undefined;
    const causes = details?.causes;
    return {
      kind,
      ...(Array.isArray(causes) ? { details: { causes } } : {}),
      ...(typeof reason === "string" ? { reason } : {}),
      ...(typeof message === "string" ? { message } : {}),
    };
  } catch {
    // Proxies and load balancers answer with HTML or plain text; the HTTP status says enough.
    return undefined;
  }
}

function firstLine(body: string): string {
  return body.slice(0, 200).split("\n", 1)[0]!.trim();
}
