import type { Side } from "@heddle/base/errors";
import { HeaderMap } from "../http/headers.ts";
import { CR, HEX, LF, TOKEN } from "./ascii.ts";
import { http1Error } from "./errors.ts";
import { FieldKind } from "./field-names.ts";
import { FieldReader } from "./field-reader.ts";
import { LineReader, TOO_LONG } from "./line-reader.ts";
import type { ParserTables } from "./request-parser.ts";

/** Where a body goes. Ranges are lent until `data` returns. */
export interface BodyOutput {
  data(bytes: Uint8Array, start: number, end: number): void;
  end(trailers: HeaderMap | undefined): void;
}

const MAX_CHUNK_LINE_BYTES = 1024;
/** Of all chunks of one body: extensions mean nothing to us, and are not forwarded. */
const MAX_EXTENSION_BYTES = 16_384;
const MAX_TRAILER_BYTES = 16_384;
const MAX_TRAILERS = 100;
/** 2^48 and more are no chunk. Zeros in front count too. */
const MAX_SIZE_DIGITS = 12;

const IDLE = 0;
const IN_LENGTH = 1;
const IN_CHUNK_LINE = 2;
const IN_CHUNK = 3;
/** At the CR, or the LF, after a chunk's data. */
const AT_CHUNK_CR = 4;
const AT_CHUNK_LF = 5;
const IN_TRAILERS = 6;
const UNTIL_CLOSE = 7;

/**
 * Takes one body after the other out of a connection's bytes. Chunked, it refuses: sizes that are
 * not 1 to 12 hexadecimal digits; whitespace around them; extensions that do not follow the
 * grammar, that make a line over 1 KiB, or 16 KiB in one body; bare LF and CR; trailers over 16 KiB
 * or 100, and those that frame or route a message.
 */
export class BodyReader {
  readonly #side: Side;
  readonly #tables: ParserTables;
  readonly #line: LineReader;
  #field: FieldReader | undefined;
  #state = IDLE;
  #remaining = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailers: HeaderMap | undefined;

  constructor(side: Side, tables: ParserTables) {
    this.#side = side;
    this.#tables = tables;
    this.#line = new LineReader(side);
  }

  /** No body is being read. */
  get isDone(): boolean {
    return this.#state === IDLE;
  }

  startLength(bytes: number): void {
    this.#remaining = bytes;
    this.#state = bytes === 0 ? IDLE : IN_LENGTH;
  }

  startChunked(): void {
    this.#line.reset();
    this.#extensionBytes = 0;
    this.#trailerBytes = 0;
    this.#trailers = undefined;
    this.#state = IN_CHUNK_LINE;
  }

  startUntilClose(): void {
    this.#state = UNTIL_CLOSE;
  }

  /** The rest is of no interest: the connection ends. */
  stop(): void {
    this.#state = IDLE;
    this.#trailers = undefined;
  }

  /**
   * Hands a body's part of the range to `out`. Hot. `out` may call `stop`.
   *
   * @returns the position after it: after the body if `isDone`, else `end`.
   * @throws MeshError with a code of `HTTP1_ERRORS`; `out` hears of nothing then.
   */
  read(bytes: Uint8Array, start: number, end: number, out: BodyOutput): number {
    if (this.#state === IN_LENGTH) return this.#readLength(bytes, start, end, out);
    if (this.#state === UNTIL_CLOSE) {
      if (start < end) out.data(bytes, start, end);
      return end;
    }
    let at = start;
    while (at < end && this.#state !== IDLE) at = this.#readChunked(bytes, at, end, out);
    return at;
  }

  /**
   * The connection ended.
   *
   * @returns whether the body is complete by that; `out` was told so then.
   */
  close(out: BodyOutput): boolean {
    if (this.#state !== UNTIL_CLOSE) return this.#state === IDLE;
    this.#state = IDLE;
    out.end(undefined);
    return true;
  }

  #readLength(bytes: Uint8Array, start: number, end: number, out: BodyOutput): number {
    const next = Math.min(end, start + this.#remaining);
    this.#remaining -= next - start;
    const isLast = this.#remaining === 0;
    if (isLast) this.#state = IDLE;
    if (start < next) out.data(bytes, start, next);
    if (isLast) out.end(undefined);
    return next;
  }

  #readChunked(bytes: Uint8Array, at: number, end: number, out: BodyOutput): number {
    switch (this.#state) {
      case IN_CHUNK: {
        const next = Math.min(end, at + this.#remaining);
        this.#remaining -= next - at;
        if (this.#remaining === 0) this.#state = AT_CHUNK_CR;
        out.data(bytes, at, next);
        return next;
      }
      case AT_CHUNK_CR:
        if (bytes[at] !== CR) throw this.#badChunk("no line end after a chunk");
        this.#state = AT_CHUNK_LF;
        return at + 1;
      case AT_CHUNK_LF:
        if (bytes[at] !== LF) throw this.#badChunk("no line end after a chunk");
        this.#state = IN_CHUNK_LINE;
        return at + 1;
      case IN_CHUNK_LINE:
        return this.#readChunkLine(bytes, at, end);
      default:
        return this.#readTrailer(bytes, at, end, out);
    }
  }

  #readChunkLine(bytes: Uint8Array, at: number, end: number): number {
    const next = this.#line.read(bytes, at, end, MAX_CHUNK_LINE_BYTES);
    if (next === TOO_LONG) throw this.#badChunk("a chunk's line is too long");
    if (next < 0) return end;
    const line = this.#line;
    let size = 0;
    let from = line.start;
    for (; from < line.end; from++) {
      const digit = HEX[line.bytes[from]!]!;
      if (digit > 15) break;
      size = size * 16 + digit;
    }
    if (from === line.start) throw this.#badChunk("a chunk without a size");
    if (from - line.start > MAX_SIZE_DIGITS) throw this.#badChunk("a chunk's size out of range");
    if (from < line.end) this.#checkExtensions(line.bytes, from, line.end);
    this.#remaining = size;
    this.#state = size === 0 ? IN_TRAILERS : IN_CHUNK;
    return next;
  }

  /** `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the grammar's bad whitespace. */
  #checkExtensions(bytes: Uint8Array, start: number, end: number): void {
    this.#extensionBytes += end - start;
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) throw this.#badChunk("too many extensions");
    let at = start;
    while (at < end) {
      if (bytes[at] !== 0x3b) throw this.#badChunk("a byte after a chunk's size");
      const name = at + 1;
      at = endOfToken(bytes, name, end);
      if (at === name) throw this.#badChunk("an extension without a name");
      if (at < end && bytes[at] === 0x3d) {
        const value = at + 1;
        at = bytes[value] === 0x22 ? endOfQuoted(bytes, value, end) : endOfToken(bytes, value, end);
        if (at <= value) throw this.#badChunk("an extension without a value");
      }
    }
  }

  #readTrailer(bytes: Uint8Array, at: number, end: number, out: BodyOutput): number {
    const next = this.#line.read(bytes, at, end, MAX_TRAILER_BYTES - this.#trailerBytes);
    if (next === TOO_LONG) throw this.#trailersTooLarge();
    if (next < 0) return end;
    const line = this.#line;
    this.#trailerBytes += line.end - line.start + 2;
    if (line.start === line.end) {
      const trailers = this.#trailers;
      this.#state = IDLE;
      this.#trailers = undefined;
      out.end(trailers);
      return next;
    }
    this.#field ??= new FieldReader(this.#side, this.#tables.cache, this.#tables.names);
    this.#field.read(line);
    const { kind, name, value } = this.#field;
    if (kind !== FieldKind.ORDINARY) {
      throw http1Error("http1_bad_trailer", this.#side, `a trailer ${name}`);
    }
    this.#trailers ??= new HeaderMap();
    if (this.#trailers.size >= MAX_TRAILERS) throw this.#trailersTooLarge();
    this.#trailers.append(name, value);
    return next;
  }

  #badChunk(found: string): Error {
    return http1Error("http1_bad_chunk", this.#side, found);
  }

  #trailersTooLarge(): Error {
    return http1Error("http1_trailers_too_large", this.#side, "trailers that are too large");
  }
}

function endOfToken(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && TOKEN[bytes[at]!] !== 0) at++;
  return at;
}

/** The position after the closing quote, or -1. */
function endOfQuoted(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x22) return at + 1;
    if (byte === 0x5c) at++;
    if (at >= end || (bytes[at]! < 0x20 && bytes[at] !== 0x09) || bytes[at] === 0x7f) return -1;
  }
  return -1;
}
