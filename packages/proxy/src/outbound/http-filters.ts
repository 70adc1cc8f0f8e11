import type { MeshError } from "@heddle/base/errors";
import { MeshError as Failure } from "@heddle/base/errors";
import type { HeaderModifier } from "@heddle/model/route/filters";
import type { Flow, RequestHead, ResponseHead, ResponseSink } from "@heddle/net/http";
import type { HeaderMap } from "@heddle/wire/http/headers";
import { FilterError } from "../http/errors.ts";
import type { Filter } from "./policy.ts";

const OK = 200;
const FAILED_PRECONDITION = 9;
const NOT_FOUND = 5;

/**
 * Applies filters of a rule or a backend to a request, in order. Hot.
 *
 * @param prefixLength - What a redirect may replace: of the match that chose the rule.
 * @returns the error that ends the request here, if one does.
 */
export function applyFilters(
  filters: readonly Filter[],
  head: RequestHead,
  prefixLength: number | undefined,
  random: () => number,
): MeshError | undefined {
  for (let i = 0; i < filters.length; i++) {
    const filter = filters[i]!;
    switch (filter.kind) {
      case "request_headers":
        filter.modifier.apply(head.headers);
        break;
      case "response_headers":
        break;
      case "redirect": {
        const error = redirect(filter, head, prefixLength);
        if (error !== undefined) return error;
        break;
      }
      case "fail_http": {
        if (!filter.ratio.fails(random())) break;
        const answer = { status: filter.status, grpcStatus: FAILED_PRECONDITION };
        return new FilterError("injected_http", filter.message, answer);
      }
      case "fail_grpc": {
        if (!filter.ratio.fails(random())) break;
        const answer = { status: OK, grpcStatus: filter.code };
        return new FilterError("injected_grpc", filter.message, answer);
      }
      case "invalid":
        return new Failure("invalid_policy", "control", filter.message);
    }
  }
  return undefined;
}

function redirect(
  filter: Filter & { kind: "redirect" },
  head: RequestHead,
  prefixLength: number | undefined,
): MeshError | undefined {
  try {
    const to = filter.redirect.apply(head, prefixLength);
    if (to === undefined) return undefined;
    const answer = { status: to.status, grpcStatus: NOT_FOUND, location: to.location };
    return new FilterError("redirected", `redirected to ${to.location}`, answer);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** The modifiers of responses among filters; undefined if there is none. */
export function responseModifiers(
  filters: readonly Filter[],
): readonly HeaderModifier[] | undefined {
  const found: HeaderModifier[] = [];
  for (const filter of filters) {
    if (filter.kind === "response_headers") found.push(filter.modifier);
  }
  return found.length === 0 ? undefined : found;
}

/** Applies response modifiers to what comes from a backend. */
export class ModifiedResponse implements ResponseSink {
  readonly #response: ResponseSink;
  readonly #modifiers: readonly HeaderModifier[];

  constructor(response: ResponseSink, modifiers: readonly HeaderModifier[]) {
    this.#response = response;
    this.#modifiers = modifiers;
  }

  informational(head: ResponseHead): void {
    this.#response.informational?.(head);
  }

  head(head: ResponseHead, flow: Flow): void {
    for (const modifier of this.#modifiers) modifier.apply(head.headers);
    this.#response.head(head, flow);
  }

  data(bytes: Uint8Array, start: number, end: number): void {
    this.#response.data(bytes, start, end);
  }

  end(trailers: HeaderMap | undefined): void {
    this.#response.end(trailers);
  }

  abort(reason: MeshError): void {
    this.#response.abort(reason);
  }
}
