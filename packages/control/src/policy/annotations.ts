import { parseDuration } from "./duration.ts";
import { type PortSet, parsePortSet } from "./port-set.ts";

export type Annotations = Readonly<Record<string, string>>;
/** Told of an annotation that does not parse; it then counts as unset. */
export type OnBadAnnotation = (key: string, problem: string) => void;

export const OPAQUE_PORTS = "config.linkerd.io/opaque-ports";
const BALANCER = "balancer.linkerd.io/";
const BALANCER_ALPHA = "balancer.alpha.linkerd.io/";

export interface Timeouts {
  readonly requestMs: number | undefined;
  readonly responseMs: number | undefined;
  readonly idleMs: number | undefined;
}

export interface StatusRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
}

export type GrpcCondition =
  | "cancelled"
  | "deadline-exceeded"
  | "internal"
  | "resource-exhausted"
  | "unavailable";

export interface Retry<C> {
  readonly limit: number;
  readonly timeoutMs: number | undefined;
  readonly conditions: readonly C[];
}

export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitter: number;
}

export type FailureAccrual =
  | { readonly kind: "consecutive"; readonly maxFailures: number; readonly backoff: Backoff }
  | {
      readonly kind: "unified";
      readonly maxFailures: number;
      readonly backoff: Backoff;
      readonly successRateThreshold: number;
      readonly windowMs: number;
      readonly minRequests: number;
      readonly honorRetryAfter: boolean;
    };

/** Endpoints that fail are made to look slow. */
export interface LoadBias {
  readonly penaltyMs: number;
  readonly maxRetryAfterMs: number;
}

/** What a Service or an EgressNetwork says of traffic to it. */
export interface TrafficSettings {
  readonly accrual: FailureAccrual | undefined;
  readonly loadBias: LoadBias | undefined;
  readonly timeouts: Timeouts | undefined;
  readonly httpRetry: Retry<StatusRange> | undefined;
  readonly grpcRetry: Retry<GrpcCondition> | undefined;
  /** Undefined: the mesh's default. Present but wrong: no port at all. */
  readonly opaquePorts: PortSet | undefined;
}

/** Each setting on its own: one that does not parse is unset, the others hold. */
export function parseTrafficSettings(
  annotations: Annotations,
  onBad: OnBadAnnotation,
): TrafficSettings {
  const opaque = annotations[OPAQUE_PORTS];
  return {
    accrual: attempt(`${BALANCER}failure-accrual`, onBad, () => parseFailureAccrual(annotations)),
    loadBias: attempt(`${BALANCER_ALPHA}penalize-failures`, onBad, () =>
      parseLoadBias(annotations),
    ),
    timeouts: attempt("timeout.linkerd.io", onBad, () => parseTimeouts(annotations)),
    httpRetry: attempt("retry.linkerd.io/http", onBad, () => parseHttpRetry(annotations)),
    grpcRetry: attempt("retry.linkerd.io/grpc", onBad, () => parseGrpcRetry(annotations)),
    opaquePorts: opaque === undefined ? undefined : portsOf(opaque, onBad),
  };
}

function portsOf(text: string, onBad: OnBadAnnotation): PortSet {
  return attempt(OPAQUE_PORTS, onBad, () => parsePortSet(text)) ?? parsePortSet("");
}

function attempt<T>(key: string, onBad: OnBadAnnotation, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    onBad(key, error.message);
    return undefined;
  }
}

/** `timeout.linkerd.io/…` of a Service, an EgressNetwork or a route; undefined if none is set. */
export function parseTimeouts(annotations: Annotations): Timeouts | undefined {
  const read = (name: string): number | undefined =>
    optional(annotations[`timeout.linkerd.io/${name}`], parseDuration);
  const timeouts = {
    requestMs: read("request"),
    responseMs: read("response"),
    idleMs: read("idle"),
  };
  const isSet = Object.values(timeouts).some((value) => value !== undefined);
  return isSet ? timeouts : undefined;
}

export function parseHttpRetry(annotations: Annotations): Retry<StatusRange> | undefined {
  return parseRetry(annotations, "retry.linkerd.io/http", parseStatusRange);
}

export function parseGrpcRetry(annotations: Annotations): Retry<GrpcCondition> | undefined {
  return parseRetry(annotations, "retry.linkerd.io/grpc", parseGrpcCondition);
}

/** A bare limit or timeout makes a retry without conditions: HTTP and gRPC alike. */
function parseRetry<C>(
  annotations: Annotations,
  key: string,
  parse: (item: string) => C,
): Retry<C> | undefined {
  const limit = optional(annotations["retry.linkerd.io/limit"], (text) => integer(text, 0xffff));
  const timeoutMs = optional(annotations["retry.linkerd.io/timeout"], parseDuration);
  const conditions = optional(annotations[key], (text) => text.split(",").map(parse));
  if (!limit && !timeoutMs && conditions === undefined) return undefined;
  return { limit: limit || 1, timeoutMs: timeoutMs || undefined, conditions: conditions ?? [] };
}

function parseStatusRange(item: string): StatusRange {
  const text = item.toLowerCase();
  if (text === "5xx") return { start: 500, end: 599 };
  if (text === "gateway-error") return { start: 502, end: 504 };
  const found = /^([0-9]{3})(?:-([0-9]{3}))?$/.exec(text);
  const start = Number(found?.[1]);
  const end = Number(found?.[2] ?? found?.[1]);
  if (found === null || start < 100 || end > 599 || start > end) {
    throw new SyntaxError(`"${item}" is not a status to retry`);
  }
  return { start, end };
}

const GRPC_CONDITIONS: readonly GrpcCondition[] = [
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
];

function parseGrpcCondition(item: string): GrpcCondition {
  const found = GRPC_CONDITIONS.find((known) => known === item.toLowerCase());
  if (found === undefined) throw new SyntaxError(`"${item}" is not a gRPC status to retry`);
  return found;
}

/** The breaker's parameters count only with a mode. */
export function parseFailureAccrual(annotations: Annotations): FailureAccrual | undefined {
  const mode = annotations[`${BALANCER}failure-accrual`];
  if (mode === undefined) return undefined;
  if (mode !== "consecutive" && mode !== "unified") {
    throw new SyntaxError(`"${mode}" is not a failure accrual: consecutive or unified`);
  }
  const of = (name: string): string | undefined =>
    annotations[`${BALANCER}failure-accrual-consecutive-${name}`];
  const maxFailures = optional(of("max-failures"), (text) => integer(text, 0xffffffff)) ?? 7;
  const backoff = {
    minMs: optional(of("min-penalty"), parseDuration) ?? 1_000,
    maxMs: optional(of("max-penalty"), parseDuration) ?? 60_000,
    jitter: optional(of("jitter-ratio"), number) ?? 0.5,
  };
  if (backoff.minMs > backoff.maxMs) throw new SyntaxError("min-penalty is above max-penalty");
  if (backoff.maxMs === 0) throw new SyntaxError("max-penalty is zero");
  if (backoff.jitter < 0 || backoff.jitter > 100) {
    throw new SyntaxError(`jitter-ratio ${backoff.jitter} is not within 0 and 100`);
  }
  if (mode === "consecutive") return { kind: "consecutive", maxFailures, backoff };
  return { kind: "unified", maxFailures, backoff, ...parseSuccessRate(annotations) };
}

function parseSuccessRate(annotations: Annotations): {
  readonly successRateThreshold: number;
  readonly windowMs: number;
  readonly minRequests: number;
  readonly honorRetryAfter: boolean;
} {
  const of = (name: string): string | undefined =>
    annotations[`${BALANCER_ALPHA}failure-accrual-${name}`];
  const threshold = optional(of("success-rate-threshold"), number) ?? 0.8;
  const windowMs = optional(of("success-rate-window"), parseDuration) ?? 10_000;
  const minRequests = optional(of("success-rate-min-requests"), (t) => integer(t, 0xffffffff)) ?? 5;
  if (threshold < 0 || threshold > 1) {
    throw new SyntaxError(`success-rate-threshold ${threshold} is not within 0 and 1`);
  }
  if (windowMs === 0) throw new SyntaxError("success-rate-window is zero");
  // What proxies refuse; without a threshold they do not look.
  if (threshold > 0 && windowMs < 10) throw new SyntaxError("success-rate-window is below 10ms");
  if (threshold > 0 && minRequests > 1_000_000) {
    throw new SyntaxError("success-rate-min-requests is above 1000000");
  }
  const honorRetryAfter = optional(of("honor-retry-after"), boolean) ?? false;
  return { successRateThreshold: threshold, windowMs, minRequests, honorRetryAfter };
}

export function parseLoadBias(annotations: Annotations): LoadBias | undefined {
  const of = (name: string): string | undefined => annotations[BALANCER_ALPHA + name];
  if (!optional(of("penalize-failures"), boolean)) return undefined;
  const penaltyMs = optional(of("load-biaser-penalty"), parseDuration) ?? 5_000;
  const maxRetryAfterMs = optional(of("load-biaser-max-retry-after"), parseDuration) ?? 300_000;
  if (penaltyMs > 0xffffffff) throw new SyntaxError("load-biaser-penalty is too long");
  return { penaltyMs, maxRetryAfterMs };
}

/** What Go's `ParseBool` takes, blanks around it aside. */
export function boolean(text: string): boolean {
  const trimmed = text.trim();
  if (["1", "t", "T", "TRUE", "true", "True"].includes(trimmed)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(trimmed)) return false;
  throw new SyntaxError(`"${text}" is neither true nor false`);
}

function optional<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text);
}

function integer(text: string, max: number): number {
  const value = /^[0-9]{1,10}$/.test(text.trim()) ? Number(text.trim()) : Number.NaN;
  if (!(value <= max)) throw new SyntaxError(`"${text}" is not a number from 0 to ${max}`);
  return value;
}

function number(text: string): number {
  const trimmed = text.trim();
  if (!/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$/.test(trimmed)) {
    throw new SyntaxError(`"${text}" is not a number`);
  }
  return Number(trimmed);
}
