/**
 * Requests of HTTP/1.0 and HTTP/1.1, from bytes that may be split anywhere (RFC 9112).
 *
 * Refused, beyond what the grammar forbids, is whatever two recipients might read differently:
 *
 * - lines: a bare LF; a CR that is not before LF; more than one empty line before a request;
 * - request line: more than one space or other whitespace between its parts, or around them;
 *   a method that is no token or over 32 bytes; HTTP/0.9; a version other than 1.0 and 1.1 (505);
 * - target: non-ASCII and control bytes, fragments, `<` and `>`, a backslash in the path; user
 *   information; an empty host or port, a port over 65535; a scheme other than http and https;
 *   `*` with anything but OPTIONS; authority form with anything but CONNECT, and the reverse;
 *   CONNECT over HTTP/1.0;
 * - fields: no colon, no name, whitespace before the colon, a name that is no token, folding,
 *   control bytes; several `host` fields, or one that is no authority;
 * - framing: `transfer-encoding` and `content-length` together; either of them twice; a length that
 *   is not 1 to 15 digits; a coding other than a single `chunked` (501 if chunked comes last);
 *   `transfer-encoding` over HTTP/1.0; a CONNECT with either of them;
 * - size: a head over `maxHeadBytes` (431; 414 if the request line alone is), more than `maxFields`.
 *
 * Accepted, as Linkerd's proxy does, although RFC 9112 section 3.2 wants a 400: a request of
 * HTTP/1.1 with an empty `host` or none.
 */
import { HeaderMap } from "../http/headers.ts";
import { CR, latin1, SPACE, TOKEN } from "./ascii.ts";
import { http1Error } from "./errors.ts";
import { FieldCache } from "./field-cache.ts";
import { FieldKind, FieldNames } from "./field-names.ts";
import { FieldReader } from "./field-reader.ts";
import { Framing, isPlainConnection } from "./framing.ts";
import { LineReader, MORE, TOO_LONG } from "./line-reader.ts";
import { readTarget, type Target } from "./target.ts";

export interface HeadLimits {
  /** Start line and fields, line ends included. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
}

export const DEFAULT_HEAD_LIMITS: HeadLimits = { maxHeadBytes: 65_536, maxFields: 100 };

/** What parsers of one process share: nothing that tells connections about each other. */
export class ParserTables {
  readonly cache: FieldCache = new FieldCache();
  readonly names: FieldNames = new FieldNames();
}

const MAX_METHOD_BYTES = 32;
const IN_START_LINE = 0;
const IN_FIELDS = 1;
const DONE = 2;

/** One per connection. After `isDone`, take what it found and call `reset`. */
export class RequestParser {
  method = "";
  readonly target: Target = { form: "origin", scheme: "", authority: "", path: "" };
  /** 0 or 1. Known as soon as the request line is, also if what follows is refused. */
  minor: 0 | 1 = 1;
  headers: HeaderMap = new HeaderMap();
  /** Of the body: -1 if it is chunked, 0 if there is none. */
  contentLength = 0;
  isKeepAlive = true;
  expectsContinue = false;
  /** CONNECT, or an upgrade to something other than h2c of a request that has no body. */
  isUpgrade = false;
  /** Set if `headers` hold fields that are for this connection only. */
  hasHopByHop = false;
  readonly #limits: HeadLimits;
  readonly #line: LineReader = new LineReader("client");
  readonly #field: FieldReader;
  readonly #framing: Framing = new Framing("client");
  #state = IN_START_LINE;
  #budgetBytes: number;
  #sawEmptyLine = false;

  constructor(tables: ParserTables, limits: HeadLimits = DEFAULT_HEAD_LIMITS) {
    this.#limits = limits;
    this.#budgetBytes = limits.maxHeadBytes;
    this.#field = new FieldReader("client", tables.cache, tables.names);
  }

  get isDone(): boolean {
    return this.#state === DONE;
  }

  /** Whether nothing of a request was seen since `reset`. */
  get isIdle(): boolean {
    return this.#state === IN_START_LINE && !this.#line.isPartial && !this.#sawEmptyLine;
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
        if (next === TOO_LONG) throw this.#tooLong();
        if (next === MORE && this.#state === IN_START_LINE) checkStart(bytes, at, end);
        return end;
      }
      this.#budgetBytes -= this.#line.end - this.#line.start + 2;
      if (this.#state === IN_FIELDS) this.#readField();
      else this.#readStartLine();
      at = next;
    }
    return at;
  }

  /** For the next request of the connection. */
  reset(): void {
    this.headers = new HeaderMap();
    this.#framing.reset();
    this.#line.reset();
    this.#budgetBytes = this.#limits.maxHeadBytes;
    this.#state = IN_START_LINE;
    this.#sawEmptyLine = false;
    this.minor = 1;
  }

  #readStartLine(): void {
    const { bytes, start, end } = this.#line;
    if (start === end && !this.#sawEmptyLine) {
      // RFC 9112 section 2.2: some clients end a body with CRLF.
      this.#sawEmptyLine = true;
      return;
    }
    const methodEnd = this.#readMethod(bytes, start, end);
    const versionStart = end - 8;
    if (versionStart - 1 <= methodEnd) throw badStart("a request line without a version");
    this.#readVersion(bytes, versionStart);
    const targetEnd = versionStart - 1;
    if (bytes[targetEnd] !== SPACE) throw badStart("no single space before the version");
    if (!readTarget(bytes, methodEnd + 1, targetEnd, this.target)) {
      throw http1Error("http1_bad_target", "client", "a target of no known form");
    }
    this.#checkForm();
    this.#state = IN_FIELDS;
  }

  /** The position of the space after the method. */
  #readMethod(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && TOKEN[bytes[at]!] !== 0) at++;
    if (at === start || at === end || bytes[at] !== SPACE) throw badStart("no method");
    if (at - start > MAX_METHOD_BYTES) throw badStart("a method that is too long");
    this.method = methodOf(bytes, start, at);
    return at;
  }

  #readVersion(bytes: Uint8Array, start: number): void {
    const isHttp =
      bytes[start] === 0x48 &&
      bytes[start + 1] === 0x54 &&
      bytes[start + 2] === 0x54 &&
      bytes[start + 3] === 0x50 &&
      bytes[start + 4] === 0x2f &&
      bytes[start + 6] === 0x2e;
    const major = bytes[start + 5]! - 0x30;
    const minor = bytes[start + 7]! - 0x30;
    if (!isHttp || major < 0 || major > 9 || minor < 0 || minor > 9) {
      throw badStart("a request line without a version");
    }
    if (major !== 1 || (minor !== 0 && minor !== 1)) {
      throw http1Error("http1_bad_version", "client", `version ${major}.${minor}`);
    }
    this.minor = minor;
  }

  #checkForm(): void {
    const { form } = this.target;
    const isConnect = this.method === "CONNECT";
    if (isConnect !== (form === "authority")) {
      throw http1Error("http1_bad_target", "client", `${this.method} with ${form} form`);
    }
    if (isConnect && this.minor === 0) {
      throw http1Error("http1_bad_target", "client", "CONNECT over HTTP/1.0");
    }
    if (form === "asterisk" && this.method !== "OPTIONS") {
      throw http1Error("http1_bad_target", "client", `${this.method} with asterisk form`);
    }
  }

  #readField(): void {
    if (this.#line.start === this.#line.end) {
      this.#finish();
      return;
    }
    if (this.headers.size >= this.#limits.maxFields) {
      throw http1Error("http1_too_many_fields", "client", "too many fields");
    }
    const field = this.#field;
    field.read(this.#line);
    if (field.kind !== FieldKind.ORDINARY) {
      this.#framing.note(field.kind, field.value);
      // How this hop frames its body says nothing about the next, nor how long it lasts.
      if (field.kind === FieldKind.TRANSFER_ENCODING) return;
      if (isPlainConnection(field.kind, field.value)) return;
    }
    this.headers.append(field.name, field.value);
  }

  #finish(): void {
    const framing = this.#framing;
    const isConnect = this.method === "CONNECT";
    if (framing.isChunked && framing.length >= 0) throw badFraming("both length and chunked");
    if (framing.isChunked && this.minor === 0) throw badFraming("chunked over HTTP/1.0");
    if (isConnect && (framing.isChunked || framing.length >= 0)) throw badFraming("CONNECT's body");
    this.contentLength = framing.isChunked ? -1 : Math.max(0, framing.length);
    this.isKeepAlive = !framing.closes && (this.minor === 1 || framing.keepsAlive);
    this.expectsContinue = framing.expectsContinue && this.minor === 1 && this.contentLength !== 0;
    this.isUpgrade = isConnect || this.#isUpgrade();
    this.hasHopByHop = framing.hasHopByHop;
    this.#state = DONE;
  }

  #isUpgrade(): boolean {
    const { protocol, upgrades } = this.#framing;
    if (protocol === "" || !upgrades || this.minor === 0 || this.contentLength !== 0) return false;
    return !protocol.split(",").some((one) => one.trim().toLowerCase() === "h2c");
  }

  #tooLong(): Error {
    if (this.#state === IN_START_LINE) {
      return http1Error("http1_target_too_long", "client", "a request line that is too long");
    }
    return http1Error("http1_head_too_large", "client", "a head that is too large");
  }
}

/** So that garbage without a line end is refused at once, not when it fills the budget. */
function checkStart(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte > 0x1f && byte < 0x7f) continue;
    if (byte === CR && at === end - 1) continue;
    throw badStart("bytes that start no request");
  }
}

/** The method as a string that compares by pointer if it is a common one. */
function methodOf(bytes: Uint8Array, start: number, end: number): string {
  switch (end - start) {
    case 3:
      if (isText(bytes, start, "GET")) return "GET";
      if (isText(bytes, start, "PUT")) return "PUT";
      break;
    case 4:
      if (isText(bytes, start, "POST")) return "POST";
      if (isText(bytes, start, "HEAD")) return "HEAD";
      break;
    case 5:
      if (isText(bytes, start, "PATCH")) return "PATCH";
      break;
    case 6:
      if (isText(bytes, start, "DELETE")) return "DELETE";
      break;
    case 7:
      if (isText(bytes, start, "OPTIONS")) return "OPTIONS";
      if (isText(bytes, start, "CONNECT")) return "CONNECT";
      break;
    default:
  }
  return latin1(bytes, start, end);
}

function isText(bytes: Uint8Array, start: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

function badStart(found: string): Error {
  return http1Error("http1_bad_start_line", "client", found);
}

function badFraming(found: string): Error {
  return http1Error("http1_bad_framing", "client", found);
}
