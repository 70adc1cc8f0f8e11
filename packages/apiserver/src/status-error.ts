import type { Json, JsonObject } from "./json/value.ts";

/** One reason why an object was refused, as `status.details.causes` carries it. */
export interface Cause {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueForbidden"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueTypeInvalid"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueNotFound"
    | "FieldManagerConflict"
    | "NamespaceTerminating"
    | "ResourceVersionTooLarge"
    | "UnexpectedServerResponse";
  readonly message: string;
  /** Path of the field: `spec.ports[0].port`. */
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

/**
 * A refusal that the client is told of, as a `Status` object. Anything else that a handler throws
 * is a bug and is answered with 500.
 */
export class StatusError extends Error {
  override readonly name: string = "StatusError";
  /** HTTP status. */
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(
    code: number,
    reason: string,
    message: string,
    options: ErrorOptions & { readonly details?: StatusDetails } = {},
  ) {
    super(message, options);
    this.code = code;
    this.reason = reason;
    this.details = options.details;
  }

  toStatus(): JsonObject {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      ...(this.reason === "" ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details as unknown as Json }),
      code: this.code,
    };
  }
}

/** Whose name a refusal carries: `services`, or `deployments.apps`. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

export interface KindName {
  readonly group: string;
  readonly kind: string;
}

export function qualified({ group, plural }: ResourceName): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function detailsOf(of: ResourceName, name: string): StatusDetails {
  return { name, ...(of.group === "" ? {} : { group: of.group }), kind: of.plural };
}

export function notFound(of: ResourceName, name: string): StatusError {
  const message = `${qualified(of)} "${name}" not found`;
  return new StatusError(404, "NotFound", message, { details: detailsOf(of, name) });
}

/** Of a path that names nothing this server knows. */
export function noSuchPath(): StatusError {
  return new StatusError(404, "NotFound", "the server could not find the requested resource", {
    details: {},
  });
}

export function alreadyExists(of: ResourceName, name: string): StatusError {
  const message = `${qualified(of)} "${name}" already exists`;
  return new StatusError(409, "AlreadyExists", message, { details: detailsOf(of, name) });
}

export function conflict(of: ResourceName, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(of)} "${name}": ${why}`;
  return new StatusError(409, "Conflict", message, { details: detailsOf(of, name) });
}

/** An object with wrong fields; the message lists them all. */
export function invalid(of: KindName, name: string, causes: readonly Cause[]): StatusError {
  const list = causes.map(({ field, message }) => (field ? `${field}: ${message}` : message));
  const all = list.length === 1 ? list[0] : `[${list.join(", ")}]`;
  const kind = of.group === "" ? of.kind : `${of.kind}.${of.group}`;
  return new StatusError(422, "Invalid", `${kind} "${name}" is invalid: ${all}`, {
    details: {
      ...(name === "" ? {} : { name }),
      ...(of.group === "" ? {} : { group: of.group }),
      ...(of.kind === "" ? {} : { kind: of.kind }),
      causes,
    },
  });
}

export function badRequest(message: string, cause?: unknown): StatusError {
  return new StatusError(400, "BadRequest", message, { cause });
}

export function forbidden(of: ResourceName, name: string, why: string): StatusError {
  const what = name === "" ? qualified(of) : `${qualified(of)} "${name}"`;
  return new StatusError(403, "Forbidden", `${what} is forbidden: ${why}`, {
    details: detailsOf(of, name),
  });
}

export function unauthorized(): StatusError {
  return new StatusError(401, "Unauthorized", "Unauthorized");
}

export function methodNotAllowed(): StatusError {
  const message = "the server does not allow this method on the requested resource";
  return new StatusError(405, "MethodNotAllowed", message, { details: {} });
}

/** What a watch or a page asks for is no longer kept; the client must list again. */
export function expired(message: string): StatusError {
  return new StatusError(410, "Expired", message);
}

export function tooLarge(message: string): StatusError {
  return new StatusError(413, "RequestEntityTooLarge", message);
}

export function unsupportedMediaType(message: string): StatusError {
  return new StatusError(415, "UnsupportedMediaType", message);
}

export function tooManyRequests(message: string): StatusError {
  return new StatusError(429, "TooManyRequests", message, { details: { retryAfterSeconds: 1 } });
}

/** A revision that this server has not reached; the client may come back, or list afresh. */
export function revisionTooLarge(wanted: number, current: number): StatusError {
  const message = `Timeout: Too large resource version: ${wanted}, current: ${current}`;
  return new StatusError(504, "Timeout", message, {
    details: {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    },
  });
}
