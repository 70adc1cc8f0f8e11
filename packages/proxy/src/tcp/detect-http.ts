import { MeshError } from "@heddle/base/errors";
import { peek } from "@heddle/net/peek";
import type { Socket } from "@heddle/net/transport";

/** What the first bytes of a connection are. */
export type HttpDetection = "http1" | "http2" | "not_http" | "timeout";

const PREFACE = "PRI * HTTP/2.0";
/** Fewer bytes than the shortest request line decide against HTTP. */
const MIN_BYTES = 14;
const MAX_BYTES = 1_024;

/**
 * Looks at what the client sends first, once: whatever arrives together decides. The bytes stay to
 * be read.
 *
 * @param stop - Nobody wants to know any more: `not_http`, whatever comes.
 * @throws MeshError if the client closes before it says anything; the socket is destroyed then.
 */
export async function detectHttp(
  socket: Socket,
  timeoutMs: number,
  stop?: AbortSignal,
): Promise<{ readonly value: HttpDetection; readonly socket: Socket }> {
  return await peek<HttpDetection>(socket, {
    maxBytes: MAX_BYTES,
    timeoutMs,
    atTimeout: () => "timeout",
    ...(stop === undefined ? {} : { stop: { signal: stop, value: "not_http" } }),
    decide: (bytes, _isLast, isEnded) => {
      if (bytes.length === 0 && isEnded) {
        const message = "socket closed before protocol detection";
        throw new MeshError("connection_closed", "client", message);
      }
      return { value: classifyHttp(bytes), consumed: 0 };
    },
  });
}

/** What a first read means. */
export function classifyHttp(bytes: Uint8Array): HttpDetection {
  if (bytes.length < MIN_BYTES) return "not_http";
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, MAX_BYTES));
  const head = text.toString("latin1");
  if (head.startsWith(PREFACE)) return "http2";
  return isHttp1(head) ? "http1" : "not_http";
}

/** Whether it is the beginning of an HTTP/1 request: complete, or cut off anywhere. */
function isHttp1(head: string): boolean {
  const lines = head.split("\n");
  if (!isRequestLine(lines[0]!, lines.length === 1)) return false;
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!.replace(/\r$/, "");
    if (line === "" && i < lines.length - 1) return true;
    const isCutOff = i === lines.length - 1;
    if (isCutOff ? !FIELD_START.test(line) : !FIELD.test(line)) return false;
  }
  return true;
}

const FIELD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:/;
const FIELD_START = /^[!#$%&'*+.^_`|~0-9A-Za-z-]*([ \t]*:.*)?$/;
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~\u0080-\u00ff]+ HTTP\/1\.[01]\r?$/;

function isRequestLine(line: string, isCutOff: boolean): boolean {
  if (!isCutOff) return REQUEST_LINE.test(line);
  const [method, target, version, ...more] = line.split(" ");
  if (more.length > 0 || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method!)) return false;
  if (target !== undefined && !/^[!-~\u0080-\u00ff]*$/.test(target)) return false;
  if (version === undefined) return target !== undefined;
  return "HTTP/1.1\r".startsWith(version) || "HTTP/1.0\r".startsWith(version);
}
