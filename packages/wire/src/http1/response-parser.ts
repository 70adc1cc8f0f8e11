/**
 * Responses of HTTP/1.0 and HTTP/1.1, from bytes that may be split anywhere (RFC 9112).
 *
 * Refused is what `request-parser.ts` lists for lines, fields, framing and size, and:
 *
 * - status line: anything but `HTTP/1.x SP 3DIGIT [SP reason]`; a status below 100; control bytes;
 * - `transfer-encoding` over HTTP/1.0, or in an answer that can have no body by its status;
 * - 101 to a request that asked for no upgrade;
 * - more than 32 informational responses before the final one.
 *
 * A reason phrase is not kept: HTTP/2 has none, and every hop writes its own. The space that should
 * stand before an empty one may be missing, as many servers leave it out.
 */
import { HeaderMap } from "../http/headers.ts";
import { FIELD_TEXT, isDigit, SPACE } from "./ascii.ts";
import { http1Error } from "./errors.ts";
import { FieldKind } from "./field-names.ts";
import { FieldReader } from "./field-reader.ts";
import { Framing, isPlainConnection } from "./framing.ts";
import { LineReader, TOO_LONG } from "./line-reader.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits, type ParserTables } from "./request-parser.ts";

/** Where a response's body ends. */
export const BodyEnd = {
  /** There is no body. */
  NONE: 0,
  LENGTH: 1,
  CHUNKED: 2,
  /** With the connection. */
  CLOSE: 3,
  /** What follows are the bytes of a tunnel. */
  TUNNEL: 4,
} as const;
export type BodyEnd = (typeof BodyEnd)[keyof typeof BodyEnd];

const MAX_INFORMATIONAL = 32;
const IN_START_LINE = 0;
const IN_FIELDS = 1;
const DONE = 2;

/** One per connection. `expect` before each request's answer; after `isDone`, `next`. */
export class ResponseParser {
  status = 0;
  minor: 0 | 1 = 1;
  headers: HeaderMap = new HeaderMap();
  /** Of the body: -1 if it is unknown, 0 if there is none, also in an answer to HEAD. */
  contentLength = 0;
  bodyEnd: BodyEnd = BodyEnd.NONE;
  /** By the head alone; a body that ends with the connection is counted in. */
  isKeepAlive = true;
  hasHopByHop = false;
  readonly #limits: HeadLimits;
  readonly #line: LineReader = new LineReader("server");
  readonly #field: FieldReader;
  readonly #framing: Framing = new Framing("server");
  #state = IN_START_LINE;
  #budgetBytes: number;
  #informational = 0;
  #isHead = false;
  #isConnect = false;
  #isUpgrade = false;

  constructor(tables: ParserTables, limits: HeadLimits = DEFAULT_HEAD_LIMITS) {
    this.#limits = limits;
    this.#budgetBytes = limits.maxHeadBytes;
    this.#field = new FieldReader("server", tables.cache, tables.names);
  }

  get isDone(): boolean {
    return this.#state === DONE;
  }

  /** Whether nothing of a response was seen since `expect` or `next`. */
  get isIdle(): boolean {
    return this.#state === IN_START_LINE && !this.#line.isPartial;
  }

  /** A 1xx that is followed by another response. */
  get isInformational(): boolean {
    return this.status < 200 && this.status !== 101;
  }

  /** The request that the next final response answers. */
  expect(method: string, isUpgrade: boolean): void {
    this.#isHead = method === "HEAD";
    this.#isConnect = method === "CONNECT";
    this.#isUpgrade = isUpgrade;
    this.#informational = 0;
    this.next();
  }

  /** Makes ready for the next response to the same request, after an informational one. */
  next(): void {
    this.headers = new HeaderMap();
    this.#framing.reset();
    this.#line.reset();
    this.#budgetBytes = this.#limits.maxHeadBytes;
    this.#state = IN_START_LINE;
  }

  /**
   * Reads on in a head. Hot.
   *
   * @returns the position after what it took: after the head if `isDone`, else `end`.
   * @throws MeshError with a code of `HTTP1_ERRORS`; the parser is of no use after that.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== DONE) {
      const next = this.#line.read(bytes, at, end, this.#budgetBytes);
      if (next < 0) {
        if (next === TOO_LONG)
          throw serverError("http1_head_too_large", "a head that is too large");
        if (this.#state === IN_START_LINE) checkStart(bytes, at, end);
        return end;
      }
      this.#budgetBytes -= this.#line.end - this.#line.start + 2;
      if (this.#state === IN_FIELDS) this.#readField();
      else this.#readStatusLine();
      at = next;
    }
    return at;
  }

  #readStatusLine(): void {
    const { bytes, start, end } = this.#line;
    if (end - start < 12 || !isHttp1(bytes, start)) throw badStart("no status line");
    const minor = bytes[start + 7]! - 0x30;
    if (minor !== 0 && minor !== 1) throw serverError("http1_bad_version", `version 1.${minor}`);
    const first = bytes[start + 9]!;
    const second = bytes[start + 10]!;
    const third = bytes[start + 11]!;
    if (bytes[start + 8] !== SPACE || !isDigit(first) || !isDigit(second) || !isDigit(third)) {
      throw badStart("no status");
    }
    if (end - start > 12 && bytes[start + 12] !== SPACE)
      throw badStart("no space after the status");
    for (let at = start + 13; at < end; at++) {
      if (FIELD_TEXT[bytes[at]!] === 0) throw badStart("a control byte in the reason");
    }
    const status = (first - 0x30) * 100 + (second - 0x30) * 10 + third - 0x30;
    if (status < 100) throw badStart(`status ${status}`);
    this.status = status;
    this.minor = minor;
    this.#state = IN_FIELDS;
  }

  #readField(): void {
    if (this.#line.start === this.#line.end) {
      this.#finish();
      return;
    }
    if (this.headers.size >= this.#limits.maxFields) {
      throw serverError("http1_too_many_fields", "too many fields");
    }
    const field = this.#field;
    field.read(this.#line);
    switch (field.kind) {
      case FieldKind.ORDINARY:
      case FieldKind.HOST:
        break;
      case FieldKind.CONTENT_LENGTH:
      case FieldKind.TRANSFER_ENCODING:
        // A proxy that grants CONNECT may say so as if there were a body (RFC 9110 section 9.3.6).
        if (this.#isTunnel()) return;
        this.#framing.note(field.kind, field.value);
        if (field.kind === FieldKind.TRANSFER_ENCODING || this.#isBodyless()) return;
        break;
      default:
        this.#framing.note(field.kind, field.value);
        if (isPlainConnection(field.kind, field.value)) return;
    }
    this.headers.append(field.name, field.value);
  }

  #finish(): void {
    const framing = this.#framing;
    if (framing.isChunked && framing.length >= 0) throw badFraming("both length and chunked");
    if (framing.isChunked && this.minor === 0) throw badFraming("chunked over HTTP/1.0");
    if (framing.isChunked && this.#isBodyless()) throw badFraming(`chunked with ${this.status}`);
    if (this.status === 101 && !this.#isUpgrade) throw badStart("101 to no upgrade");
    if (this.isInformational && ++this.#informational > MAX_INFORMATIONAL) {
      throw badStart("too many informational responses");
    }
    this.hasHopByHop = framing.hasHopByHop;
    this.#decideBody();
    this.isKeepAlive =
      !framing.closes &&
      (this.minor === 1 || framing.keepsAlive) &&
      this.bodyEnd !== BodyEnd.CLOSE &&
      this.bodyEnd !== BodyEnd.TUNNEL;
    this.#state = DONE;
  }

  #decideBody(): void {
    const framing = this.#framing;
    if (this.#isTunnel()) {
      this.bodyEnd = BodyEnd.TUNNEL;
      this.contentLength = -1;
    } else if (this.#isHead || this.#isBodyless() || this.status === 304) {
      this.bodyEnd = BodyEnd.NONE;
      this.contentLength = 0;
    } else if (framing.isChunked) {
      this.bodyEnd = BodyEnd.CHUNKED;
      this.contentLength = -1;
    } else if (framing.length >= 0) {
      this.bodyEnd = framing.length === 0 ? BodyEnd.NONE : BodyEnd.LENGTH;
      this.contentLength = framing.length;
    } else {
      this.bodyEnd = BodyEnd.CLOSE;
      this.contentLength = -1;
    }
  }

  #isTunnel(): boolean {
    if (this.#isConnect) return this.status >= 200 && this.status < 300;
    return this.status === 101 && this.#isUpgrade;
  }

  /** Statuses that neither have a body nor may say that they have one. */
  #isBodyless(): boolean {
    return this.status < 200 || this.status === 204;
  }
}

/** `HTTP/1.` */
function isHttp1(bytes: Uint8Array, start: number): boolean {
  return (
    bytes[start] === 0x48 &&
    bytes[start + 1] === 0x54 &&
    bytes[start + 2] === 0x54 &&
    bytes[start + 3] === 0x50 &&
    bytes[start + 4] === 0x2f &&
    bytes[start + 5] === 0x31 &&
    bytes[start + 6] === 0x2e
  );
}

/** So that garbage without a line end is refused at once. */
function checkStart(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (FIELD_TEXT[byte] === 0 && !(byte === 0x0d && at === end - 1)) {
      throw badStart("bytes that start no response");
    }
  }
}

function badStart(found: string): Error {
  return serverError("http1_bad_start_line", found);
}

function badFraming(found: string): Error {
  return serverError("http1_bad_framing", found);
}

function serverError(code: Parameters<typeof http1Error>[0], found: string): Error {
  return http1Error(code, "server", found);
}
