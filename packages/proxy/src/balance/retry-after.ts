import type { HeaderMap } from "@heddle/wire/http/headers";

/** What a response says about its endpoint, judged by its head alone. */
export type PenaltyHint = "rate_limited" | "unavailable" | "internal" | undefined;

/** Whether a response head makes its endpoint look worse than its latency. */
export function penaltyOf(status: number, headers: HeaderMap): PenaltyHint {
  if (status === 429) return "rate_limited";
  if (status === 503) return "unavailable";
  if (status >= 500 && status <= 599) return "internal";
  if (status !== 200) return undefined;
  const contentType = headers.get("content-type");
  if (contentType === undefined || !contentType.startsWith("application/grpc")) return undefined;
  switch (headers.get("grpc-status")) {
    case "8":
      return "rate_limited";
    case "14":
      return "unavailable";
    case "2":
    case "4":
    case "13":
    case "15":
      return "internal";
    default:
      return undefined;
  }
}

/**
 * How long the endpoint asks to be left alone: Retry-After of a 429 or 503, or
 * grpc-retry-pushback-ms of a gRPC answer. Undefined if it does not say, or not in a form we read.
 */
export function retryAfterMs(
  status: number,
  headers: HeaderMap,
  wallMs: number,
): number | undefined {
  if (status === 429 || status === 503) return parseRetryAfter(headers.get("retry-after"), wallMs);
  if (status !== 200) return undefined;
  const pushback = headers.get("grpc-retry-pushback-ms");
  if (pushback === undefined || !/^\d{1,10}$/.test(pushback)) return undefined;
  const value = Number(pushback);
  return value > 0x7fffffff ? undefined : value;
}

function parseRetryAfter(text: string | undefined, wallMs: number): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim();
  if (/^\d{1,15}$/.test(value)) return Number(value) * 1000;
  // HTTP-date, RFC 9110 5.6.7: all three forms name a day and hold a time.
  if (!/^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/.test(value)) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallMs);
}
