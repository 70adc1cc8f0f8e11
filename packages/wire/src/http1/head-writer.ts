import { MeshError } from "@heddle/base/errors";
import type { HeaderMap } from "../http/headers.ts";
import type { OutBuffer } from "../out-buffer.ts";
import { FieldLines } from "./field-lines.ts";
import { REASONS } from "./reasons.ts";

/** How the body of a message that is being written ends, where that is no length of 0 or more. */
export const Body = {
  CHUNKED: -1,
  /** No body follows, but `content-length` may tell of one: answers to HEAD, and 304. */
  AS_DECLARED: -2,
  /** Neither field may stand: 1xx, 204, tunnels, bodies that end with the connection. */
  UNDECLARED: -3,
} as const;

/** What `fields` met: bits of its result. */
export const HAS_HOST = 1;
export const HAS_DATE = 2;
export const HAS_LENGTH = 4;
/** `connection` with the option `close`: whoever made this head wants the connection to end. */
export const HAS_CLOSE = 8;

const CRLF = Buffer.from("\r\n");
const CHUNKED_LINE = Buffer.from("transfer-encoding: chunked\r\n");
const LENGTH_NAME = Buffer.from("content-length: ");
const LAST_CHUNK = Buffer.from("0\r\n");
const STATUS_LINES: readonly (Buffer | undefined)[] = statusLines();

/**
 * Writes heads, chunks and trailers. One per process: it remembers encoded lines. What it is given
 * may come from HTTP/2 or from a layer, so it checks that nothing breaks out of its line.
 */
export class HeadWriter {
  readonly #lines: FieldLines = new FieldLines();

  /** `prefix` is scheme and authority of absolute form, else empty. Hot. */
  requestLine(out: OutBuffer, method: string, prefix: string, target: string, minor: 0 | 1): void {
    if (isBroken(method) || isBroken(target) || (prefix !== "" && isBroken(prefix))) {
      throw new MeshError(
        "http1_unwritable",
        "self",
        "Cannot write HTTP/1 message: a request line",
      );
    }
    out.latin1(method);
    out.byte(0x20);
    if (prefix !== "") out.latin1(prefix);
    out.latin1(target);
    out.latin1(minor === 1 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  }

  /** Hot. */
  statusLine(out: OutBuffer, status: number, minor: 0 | 1): void {
    const line = STATUS_LINES[status];
    const start = out.end;
    if (line !== undefined) {
      out.append(line, 0, line.length);
    } else {
      // RFC 9112 section 4: the space stands also before an empty reason.
      out.latin1(`HTTP/1.1 ${Math.min(999, Math.max(100, Math.trunc(status)))} \r\n`);
    }
    if (minor === 0) out.bytes[start + 7] = 0x30;
  }

  field(out: OutBuffer, name: string, value: string): void {
    this.#lines.write(out, name, value);
  }

  /**
   * Writes a head's fields, without those that say how this hop ends a body or keeps its
   * connection; `content-length` becomes `body` if that is a length. Hot.
   *
   * @returns HAS_ bits of what was among them.
   */
  fields(out: OutBuffer, headers: HeaderMap, body: number, isUpgrade: boolean): number {
    let met = 0;
    const size = headers.size;
    for (let index = 0; index < size; index++) {
      const name = headers.nameAt(index);
      switch (name.length) {
        case 4:
          if (name === "host") met |= HAS_HOST;
          else if (name === "date") met |= HAS_DATE;
          break;
        case 7:
          if (name === "upgrade" && !isUpgrade) continue;
          break;
        case 10:
          if (isUpgrade || (name !== "connection" && name !== "keep-alive")) break;
          if (name === "connection" && hasClose(headers.valueAt(index))) met |= HAS_CLOSE;
          continue;
        case 14:
          if (name !== "content-length") break;
          if (body === Body.AS_DECLARED) break;
          if (body >= 0 && (met & HAS_LENGTH) === 0) this.contentLength(out, body);
          met |= HAS_LENGTH;
          continue;
        case 16:
          if (name === "proxy-connection" && !isUpgrade) continue;
          break;
        case 17:
          if (name === "transfer-encoding") continue;
          break;
        default:
      }
      this.#lines.write(out, name, headers.valueAt(index));
    }
    return met;
  }

  contentLength(out: OutBuffer, length: number): void {
    out.append(LENGTH_NAME, 0, LENGTH_NAME.length);
    out.digits(length, 10);
    out.append(CRLF, 0, 2);
  }

  chunkedCoding(out: OutBuffer): void {
    out.append(CHUNKED_LINE, 0, CHUNKED_LINE.length);
  }

  endHead(out: OutBuffer): void {
    out.append(CRLF, 0, 2);
  }

  /** One chunk. An empty range writes nothing: an empty chunk would end the body. Hot. */
  chunk(out: OutBuffer, bytes: Uint8Array, start: number, end: number): void {
    if (start === end) return;
    out.room(end - start + 16);
    out.digits(end - start, 16);
    out.append(CRLF, 0, 2);
    out.append(bytes, start, end);
    out.append(CRLF, 0, 2);
  }

  /** Ends a chunked body. Trailers that only HTTP/1 framing may carry are left out. */
  lastChunk(out: OutBuffer, trailers: HeaderMap | undefined): void {
    out.append(LAST_CHUNK, 0, LAST_CHUNK.length);
    if (trailers !== undefined) this.fields(out, trailers, Body.UNDECLARED, false);
    out.append(CRLF, 0, 2);
  }
}

function hasClose(value: string): boolean {
  return value === "close" || /(^|,)[ \t]*close[ \t]*(,|$)/i.test(value);
}

/** A request target or method with a byte that would break its line. */
function isBroken(text: string): boolean {
  let isVisible = text.length > 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) isVisible = false;
  }
  return !isVisible;
}

function statusLines(): (Buffer | undefined)[] {
  const lines: (Buffer | undefined)[] = [];
  for (const [status, reason] of Object.entries(REASONS)) {
    lines[Number(status)] = Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n`);
  }
  return lines;
}
