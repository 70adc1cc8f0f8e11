import { MeshError } from "@heddle/base/errors";
import { type HelloVerdict, MAX_HELLO_BYTES, readClientHello } from "@heddle/wire/tls/client-hello";
import { peek } from "./peek.ts";
import type { Socket } from "./transport.ts";

/**
 * - `mesh`: TLS for us; to be given to a `TlsTerminator`.
 * - `passthru`: TLS for somebody else, who is named.
 * - `none`: no TLS, no word for whom it is, or nobody wanted to know any more.
 */
export type TlsDetection =
  | { readonly kind: "mesh"; readonly socket: Socket; readonly serverName: string }
  | { readonly kind: "passthru"; readonly socket: Socket; readonly serverName: string }
  | { readonly kind: "none"; readonly socket: Socket; readonly isTls: boolean };

export interface DetectTlsOptions {
  /** Our own name, in lower case. `*`: every ClientHello is for us. Undefined: none is. */
  readonly serverName: string | undefined;
  readonly timeoutMs: number;
  /** Ends the waiting without a verdict. */
  readonly stop?: AbortSignal;
}

const NO_TLS: HelloVerdict = { kind: "not-tls" };

/**
 * Waits for the first bytes of a connection and tells whether they begin TLS for us. The bytes are
 * all put back: the socket returned has them, and the peer's end, still to say.
 *
 * @throws MeshError `tls_detect_timeout`, or why the socket closed; it is destroyed then.
 */
export async function detectTls(socket: Socket, options: DetectTlsOptions): Promise<TlsDetection> {
  const { serverName, timeoutMs, stop } = options;
  const peeked = await peek<HelloVerdict>(socket, {
    maxBytes: MAX_HELLO_BYTES,
    timeoutMs,
    timeoutError: () => {
      const message = `Cannot detect TLS: no verdict within ${timeoutMs} ms`;
      return new MeshError("tls_detect_timeout", "client", message);
    },
    ...(stop === undefined ? {} : { stop: { signal: stop, value: NO_TLS } }),
    decide: (bytes, isLast) => {
      const value = readClientHello(bytes);
      return value.kind === "incomplete" && !isLast ? undefined : { value, consumed: 0 };
    },
  });
  const verdict = peeked.value;
  const name = verdict.kind === "sni" ? verdict.serverName : undefined;
  const isHello = verdict.kind === "sni" || verdict.kind === "no-sni";
  if (isHello && (serverName === "*" || (name !== undefined && name === serverName))) {
    return { kind: "mesh", socket: peeked.socket, serverName: name ?? "" };
  }
  if (name !== undefined) return { kind: "passthru", socket: peeked.socket, serverName: name };
  return { kind: "none", socket: peeked.socket, isTls: isHello };
}
