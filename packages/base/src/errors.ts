/** Whose fault it is. Decides the status we answer with, the metric label and the log level. */
export type Side = "client" | "server" | "control" | "self";

export interface MeshErrorOptions extends ErrorOptions {
  readonly retryable?: boolean;
}

/**
 * An expected failure: a peer, the control plane or the configuration. Any other `Error` is a bug:
 * it destroys the connection it happened on, or the process if there is none.
 *
 * Messages read `Cannot <verb> <object>: <state found>`, with no final period.
 */
export class MeshError extends Error {
  override readonly name: string = "MeshError";
  /** Stable, in metrics and logs: `connect_timeout`, `identity_mismatch`, `fail_fast`. */
  readonly code: string;
  readonly side: Side;
  /** Whether the same request may be sent again, here or to another endpoint. */
  readonly retryable: boolean;

  constructor(code: string, side: Side, message: string, options: MeshErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.side = side;
    this.retryable = options.retryable ?? false;
  }
}

/** The message of anything thrown, with its causes: `a: b: c`. For logs and for people. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current !== undefined && current !== null; depth++) {
    parts.push(current instanceof Error ? current.message : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ");
}
