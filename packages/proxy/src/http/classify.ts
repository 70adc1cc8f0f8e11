import type { HeaderMap } from "@heddle/wire/http/headers";

/**
 * What an answer counts as, in one number: bit 0 is set for success; above it stands 0 for plain
 * HTTP, or one more than the gRPC status.
 */
export type ResponseClass = number;

export const HTTP_FAILURE: ResponseClass = 0;
export const HTTP_SUCCESS: ResponseClass = 1;
/** Only the end of the stream can tell. */
export const PENDING: ResponseClass = -1;

export function isSuccess(responseClass: ResponseClass): boolean {
  return (responseClass & 1) === 1;
}

/** -1 for plain HTTP. */
export function grpcStatusOf(responseClass: ResponseClass): number {
  return (responseClass >> 1) - 1;
}

/** Judges answers; stateless, shared by all requests of a route. Hot: allocates nothing. */
export interface Classifier {
  atHead(status: number, headers: HeaderMap): ResponseClass;
  /** Asked only where `atHead` said `PENDING`. */
  atEnd(status: number, trailers: HeaderMap | undefined): ResponseClass;
}

/** gRPC codes that count as failures unless a route says otherwise. */
export const GRPC_FAILURES: readonly number[] = [2, 4, 7, 13, 14, 15];

export const HTTP_CLASSIFIER: Classifier = {
  atHead: (status) => (status >= 500 && status <= 599 ? HTTP_FAILURE : HTTP_SUCCESS),
  atEnd: (status) => (status >= 500 && status <= 599 ? HTTP_FAILURE : HTTP_SUCCESS),
};

/** The HTTP status is not looked at; a stream without a status is a success, labelled unknown. */
export const GRPC_CLASSIFIER: Classifier = {
  atHead: (_status, headers) => grpcClass(headers),
  atEnd: (_status, trailers) => {
    const found = trailers === undefined ? PENDING : grpcClass(trailers);
    return found === PENDING ? ((2 + 1) << 1) | 1 : found;
  },
};

/** The class that a `grpc-status` field gives; `PENDING` if there is none that parses. */
export function grpcClass(headers: HeaderMap): ResponseClass {
  const status = grpcStatus(headers);
  if (status < 0) return PENDING;
  return ((status + 1) << 1) | (GRPC_FAILURES.includes(status) ? 0 : 1);
}

/** The value of `grpc-status`: -1 if absent or no number, 2 (unknown) if above 16. Hot. */
export function grpcStatus(headers: HeaderMap): number {
  const text = headers.get("grpc-status");
  if (text === undefined || text.length === 0 || text.length > 5) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value > 16 ? 2 : value;
}

/** Whether the request is gRPC by its content type. Hot. */
export function isGrpc(headers: HeaderMap): boolean {
  return headers.get("content-type")?.startsWith("application/grpc") === true;
}

/** A response class of a ServiceProfile. */
export interface ProfileClass {
  readonly matches: (status: number) => boolean;
  readonly isFailure: boolean;
}

/** First by the profile's classes, then by gRPC status, then by 5xx. */
export class ProfileClassifier implements Classifier {
  readonly #classes: readonly ProfileClass[];

  constructor(classes: readonly ProfileClass[]) {
    this.#classes = classes;
  }

  atHead(status: number, headers: HeaderMap): ResponseClass {
    for (const { matches, isFailure } of this.#classes) {
      if (matches(status)) return isFailure ? HTTP_FAILURE : HTTP_SUCCESS;
    }
    return grpcClass(headers);
  }

  atEnd(status: number, trailers: HeaderMap | undefined): ResponseClass {
    const found = trailers === undefined ? PENDING : grpcClass(trailers);
    return found === PENDING ? HTTP_CLASSIFIER.atEnd(status, undefined) : found;
  }
}

/** For requests to which no route gave a classifier. */
export function defaultClassifier(requestHeaders: HeaderMap): Classifier {
  return isGrpc(requestHeaders) ? GRPC_CLASSIFIER : HTTP_CLASSIFIER;
}
