/** What webhooks read of an AdmissionReview, and what they answer. v1 and v1beta1 have it alike. */
export interface AdmissionReview {
  readonly request: {
    readonly uid: string;
    readonly kind: { readonly group?: string; readonly version?: string; readonly kind: string };
    readonly operation?: string;
    readonly name?: string;
    readonly namespace?: string;
    readonly object?: unknown;
  };
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  /** Why not. Without a code the API server answers 400. */
  readonly status?: { readonly message: string; readonly code?: number };
  readonly warnings?: readonly string[];
  readonly patchType?: "JSONPatch";
  /** Base64 of JSON. */
  readonly patch?: string;
}

/** Answers one review. What it refuses it denies with the cause; it throws only for a bug. */
export type AdmissionHandler = (review: AdmissionReview) => Promise<AdmissionResponse>;

/** @throws SyntaxError that says what is missing. */
export function parseReview(text: string): AdmissionReview {
  checkDepth(text);
  const review: unknown = JSON.parse(text);
  if (!isRecord(review)) throw new SyntaxError("the body is no AdmissionReview");
  const { request } = review;
  if (!isRecord(request)) throw new SyntaxError("the AdmissionReview has no request");
  const { uid, kind, operation, name, namespace } = request;
  if (typeof uid !== "string" || uid === "") throw new SyntaxError("the request has no uid");
  if (!isRecord(kind) || typeof kind["kind"] !== "string") {
    throw new SyntaxError("the request has no kind");
  }
  const texts = { group: kind["group"], version: kind["version"], operation, name, namespace };
  for (const [key, value] of Object.entries(texts)) {
    if (value === undefined || typeof value === "string") continue;
    throw new SyntaxError(`the request's ${key} is no text`);
  }
  return review as unknown as AdmissionReview;
}

/** More than any object has; what reads and writes reviews calls itself for each level. */
const MAX_DEPTH = 1_000;

function checkDepth(text: string): void {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (isString) {
      if (char === "\\") at++;
      else if (char === '"') isString = false;
    } else if (char === '"') isString = true;
    else if (char === "{" || char === "[") {
      if (++depth > MAX_DEPTH) throw new SyntaxError(`it is nested deeper than ${MAX_DEPTH}`);
    } else if (char === "}" || char === "]") depth--;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
