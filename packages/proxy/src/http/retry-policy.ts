import type { HeaderMap } from "@heddle/wire/http/headers";
import type { BackoffConfig } from "../balance/breaker.ts";
import { duration, integer } from "../env-values.ts";

export interface StatusRange {
  readonly low: number;
  /** Inclusive. */
  readonly high: number;
}

/** When and how often a request is sent again. */
export interface RetryPolicy {
  /** Attempts beyond the first. */
  readonly maxRetries: number;
  /** Requests whose bodies are longer are not sent again. */
  readonly maxRequestBytes: number;
  readonly statuses: readonly StatusRange[];
  /** Bit n: gRPC status n. */
  readonly grpcCodes: number;
  /** Per attempt, until the head of the answer; undefined: unbounded. */
  readonly timeoutMs: number | undefined;
  readonly backoff: BackoffConfig | undefined;
}

export interface RouteTimeouts {
  readonly requestMs: number | undefined;
  readonly responseMs: number | undefined;
  readonly idleMs: number | undefined;
}

export const NO_TIMEOUTS: RouteTimeouts = {
  requestMs: undefined,
  responseMs: undefined,
  idleMs: undefined,
};

/** What headers alone get: one retry, a short backoff. */
const BY_HEADERS: RetryPolicy = {
  maxRetries: 1,
  maxRequestBytes: 65_536,
  statuses: [],
  grpcCodes: 0,
  timeoutMs: undefined,
  backoff: { minMs: 25, maxMs: 250, jitter: 1 },
};

const GRPC_CODES: Readonly<Record<string, number>> = {
  cancelled: 1,
  "deadline-exceeded": 4,
  "resource-exhausted": 8,
  internal: 13,
  unavailable: 14,
};

export function isRetryableStatus(policy: RetryPolicy, status: number): boolean {
  for (const range of policy.statuses) {
    if (status >= range.low && status <= range.high) return true;
  }
  return false;
}

export function isRetryableGrpc(policy: RetryPolicy, grpcStatus: number): boolean {
  return grpcStatus >= 0 && (policy.grpcCodes & (1 << grpcStatus)) !== 0;
}

/**
 * The policy after the client's own `l5d-retry-*` headers, which are taken away. Each valid header
 * replaces one field; what does not parse is ignored.
 */
export function withRetryHeaders(
  policy: RetryPolicy | undefined,
  headers: HeaderMap,
): RetryPolicy | undefined {
  const http = headers.get("l5d-retry-http");
  const grpc = headers.get("l5d-retry-grpc");
  const limit = headers.get("l5d-retry-limit");
  const timeout = headers.get("l5d-retry-timeout");
  if (http === undefined && grpc === undefined && limit === undefined && timeout === undefined) {
    return policy;
  }
  for (const name of RETRY_HEADERS) headers.delete(name);
  const base = policy ?? BY_HEADERS;
  return {
    ...base,
    statuses: (http && parseStatuses(http)) || base.statuses,
    grpcCodes: (grpc && parseGrpcCodes(grpc)) || base.grpcCodes,
    maxRetries: tolerant(limit, integer) ?? base.maxRetries,
    timeoutMs: tolerant(timeout, duration) ?? base.timeoutMs,
  };
}

/** As `withRetryHeaders`, for `l5d-timeout` and its like. */
export function withTimeoutHeaders(timeouts: RouteTimeouts, headers: HeaderMap): RouteTimeouts {
  const request = headers.get("l5d-request-timeout") ?? headers.get("l5d-timeout");
  const response = headers.get("l5d-response-timeout");
  if (request === undefined && response === undefined) return timeouts;
  for (const name of TIMEOUT_HEADERS) headers.delete(name);
  return {
    ...timeouts,
    requestMs: tolerant(request, duration) ?? timeouts.requestMs,
    responseMs: tolerant(response, duration) ?? timeouts.responseMs,
  };
}

const RETRY_HEADERS = ["l5d-retry-http", "l5d-retry-grpc", "l5d-retry-limit", "l5d-retry-timeout"];
const TIMEOUT_HEADERS = ["l5d-request-timeout", "l5d-timeout", "l5d-response-timeout"];

/** `5xx,gateway-error,429,500-502`; no spaces. Undefined if nothing of it is known. */
function parseStatuses(text: string): StatusRange[] | undefined {
  const ranges: StatusRange[] = [];
  for (const part of text.split(",")) {
    if (part === "5xx") ranges.push({ low: 500, high: 599 });
    else if (part === "gateway-error") ranges.push({ low: 502, high: 504 });
    else {
      const match = /^(\d{3})(?:-(\d{3}))?$/.exec(part);
      if (match === null) continue;
      const low = Number(match[1]);
      const high = match[2] === undefined ? low : Number(match[2]);
      if (low >= 100 && low <= high) ranges.push({ low, high });
    }
  }
  return ranges.length === 0 ? undefined : ranges;
}

function parseGrpcCodes(text: string): number {
  let codes = 0;
  for (const part of text.split(",")) {
    const code = GRPC_CODES[part];
    if (code !== undefined) codes |= 1 << code;
  }
  return codes;
}

function tolerant<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
