import { Backoff } from "@heddle/base/backoff";
import type { MeshError } from "@heddle/base/errors";
import type { Counter } from "@heddle/base/metrics";
import { h2ReasonOf } from "@heddle/net/http2/errors";
import type { HeaderMap } from "@heddle/wire/http/headers";
import type { RequestRecord } from "../record.ts";
import { grpcStatus, isSuccess, PENDING } from "./classify.ts";
import type { RetryRules, Verdict } from "./retry.ts";
import type { RetryBudget } from "./retry-budget.ts";
import { isRetryableGrpc, isRetryableStatus, type RetryPolicy } from "./retry-policy.ts";

const REFUSED_STREAM = 7;

/** Retries of a policy's route: by status, up to a limit, with backoff. One per request. */
export class PolicyRetryRules implements RetryRules {
  readonly maxRetries: number;
  readonly maxRequestBytes: number;
  readonly attemptTimeoutMs: number;
  readonly backoff: Backoff | undefined;
  readonly #policy: RetryPolicy;

  constructor(policy: RetryPolicy, random: () => number) {
    const { backoff } = policy;
    this.#policy = policy;
    this.maxRetries = policy.maxRetries;
    this.maxRequestBytes = policy.maxRequestBytes;
    this.attemptTimeoutMs = policy.timeoutMs ?? 0;
    this.backoff =
      backoff === undefined
        ? undefined
        : new Backoff(backoff.minMs, backoff.maxMs, backoff.jitter, random);
  }

  atHead(status: number, headers: HeaderMap): Verdict {
    const policy = this.#policy;
    if (isRetryableStatus(policy, status)) return "retry";
    if (policy.grpcCodes === 0) return "take";
    const grpc = grpcStatus(headers);
    if (grpc < 0) return "wait_for_trailers";
    return isRetryableGrpc(policy, grpc) ? "retry" : "take";
  }

  atEnd(trailers: HeaderMap | undefined): boolean {
    return trailers !== undefined && isRetryableGrpc(this.#policy, grpcStatus(trailers));
  }

  onError(error: MeshError): boolean {
    if (error.code === "fail_fast") return true;
    if (error.code === "response_headers_timeout") return error.retryable;
    return h2ReasonOf(error) === REFUSED_STREAM;
  }

  withdraw(): boolean {
    return true;
  }

  settled(): void {}
}

/** Retries of a ServiceProfile's route: whatever classifies as failure, as the budget allows. */
export class ProfileRetryRules implements RetryRules {
  readonly maxRetries: number = Number.POSITIVE_INFINITY;
  readonly maxRequestBytes = 65_536;
  readonly attemptTimeoutMs = 0;
  readonly backoff = undefined;
  readonly #budget: RetryBudget;
  readonly #retryable: Counter;
  readonly #skipped: () => Counter;

  /** @param skipped - Made at its first use, so that the series appears only then. */
  constructor(budget: RetryBudget, retryable: Counter, skipped: () => Counter) {
    this.#budget = budget;
    this.#retryable = retryable;
    this.#skipped = skipped;
  }

  atHead(status: number, headers: HeaderMap, record: RequestRecord): Verdict {
    const found = record.classifier.atHead(status, headers);
    if (found === PENDING) return "wait_for_trailers";
    return isSuccess(found) ? "take" : "retry";
  }

  atEnd(trailers: HeaderMap | undefined, record: RequestRecord): boolean {
    return !isSuccess(record.classifier.atEnd(record.status, trailers));
  }

  onError(): boolean {
    return false;
  }

  withdraw(): boolean {
    this.#retryable.inc();
    if (this.#budget.withdraw()) return true;
    this.#skipped().inc();
    return false;
  }

  settled(): void {
    this.#budget.deposit();
  }
}
