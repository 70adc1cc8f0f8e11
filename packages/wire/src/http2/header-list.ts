import type { FieldSink } from "../hpack/decoder.ts";
import { HeaderMap } from "../http/headers.ts";

/** Which kind of field section is being read; it decides which pseudo-header fields may be there. */
export const ListKind = { request: 0, response: 1, trailers: 2 } as const;
export type ListKind = (typeof ListKind)[keyof typeof ListKind];

/**
 * Gathers one decoded field section and holds it to RFC 9113 §8.1 to §8.5. Reused from list to list;
 * the `HeaderMap` is fresh each time and belongs to whoever takes it.
 *
 * `host` beside a different `:authority` is let through: a proxy that upgraded an HTTP/1.1 request
 * with an absolute target sends both as they came.
 */
export class HeaderList implements FieldSink {
  /** Plain fields, in order; crumbs of `cookie` joined (§8.2.3). */
  headers: HeaderMap = new HeaderMap();
  method = "";
  scheme = "";
  authority = "";
  path = "";
  /** -1 if there was none. */
  status = -1;
  /** -1 if not declared. */
  contentLength = -1;
  /** What is wrong, for a log; empty if nothing is. */
  problem = "";

  #kind: ListKind = ListKind.request;
  #seen = 0;
  #cookies = 0;
  /** The last one that passed: mostly it comes again. */
  #goodAuthority = "";

  /** Before the first field of each list. */
  start(kind: ListKind): void {
    this.headers = new HeaderMap();
    this.method = "";
    this.scheme = "";
    this.authority = "";
    this.path = "";
    this.status = -1;
    this.contentLength = -1;
    this.problem = "";
    this.#kind = kind;
    this.#seen = 0;
    this.#cookies = 0;
  }

  /** Hot. */
  field(name: string, value: string, isValid: boolean, neverIndex: boolean): void {
    if (!isValid) {
      this.problem = "field with forbidden characters";
      return;
    }
    if (name.charCodeAt(0) === 0x3a) {
      this.#pseudo(name, value);
      return;
    }
    switch (name) {
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "transfer-encoding":
      case "upgrade":
        this.problem = `connection-specific field ${name}`;
        return;
      case "te":
        if (value !== "trailers") this.problem = "te other than trailers";
        break;
      case "content-length":
        this.#length(value);
        break;
      case "cookie":
        if (++this.#cookies > 1) {
          this.headers.set(name, `${this.headers.get(name)}; ${value}`);
          return;
        }
        break;
      default:
        break;
    }
    this.headers.append(name, value);
    if (neverIndex) this.headers.markSensitive(name);
  }

  /**
   * After the last field.
   *
   * @returns false if the message is malformed (§8.1.1): `problem` says why.
   */
  finish(): boolean {
    if (this.problem === "") {
      if (this.#kind === ListKind.request) this.#finishRequest();
      else if (this.#kind === ListKind.response && this.status < 0) this.problem = "no :status";
    }
    return this.problem === "";
  }

  #finishRequest(): void {
    const seen = this.#seen;
    if ((seen & Seen.method) === 0) this.problem = "no :method";
    else if (this.method === "CONNECT") {
      // §8.5
      if ((seen & (Seen.scheme | Seen.path)) !== 0) this.problem = "CONNECT with :scheme or :path";
      else if (this.authority === "") this.problem = "CONNECT without :authority";
    } else if ((seen & Seen.scheme) === 0) this.problem = "no :scheme";
    else if ((seen & Seen.path) === 0) this.problem = "no :path";
    else if (
      this.path.charCodeAt(0) !== 0x2f &&
      !(this.path === "*" && this.method === "OPTIONS")
    ) {
      this.problem = ":path is neither absolute nor * of OPTIONS";
    }
  }

  #pseudo(name: string, value: string): void {
    if (this.headers.size > 0 || this.#cookies > 0) {
      this.problem = "pseudo-header field after a plain one";
      return;
    }
    if (this.#kind === ListKind.response) {
      if (name !== ":status") this.problem = "unknown pseudo-header field";
      else this.#status(value);
      return;
    }
    if (this.#kind === ListKind.trailers) {
      this.problem = "pseudo-header field in trailers";
      return;
    }
    switch (name) {
      case ":method":
        this.#once(Seen.method);
        if (!isToken(value)) this.problem = ":method is not a token";
        this.method = value;
        break;
      case ":scheme":
        this.#once(Seen.scheme);
        if (value === "" || hasBlank(value)) this.problem = ":scheme is no scheme";
        this.scheme = value;
        break;
      case ":authority":
        this.#once(Seen.authority);
        if (value !== this.#goodAuthority) this.#checkAuthority(value);
        this.authority = value;
        break;
      case ":path":
        this.#once(Seen.path);
        if (hasBlank(value)) this.problem = ":path has white space";
        this.path = value;
        break;
      default:
        this.problem = "unknown pseudo-header field";
        break;
    }
  }

  /** User information is not for :authority (§8.3.1), and a blank would split an HTTP/1 line. */
  #checkAuthority(value: string): void {
    if (value.includes("@") || hasBlank(value)) this.problem = ":authority is no host and port";
    else this.#goodAuthority = value;
  }

  #once(bit: number): void {
    if ((this.#seen & bit) !== 0) this.problem = "pseudo-header field twice";
    this.#seen |= bit;
  }

  #status(value: string): void {
    if (this.status >= 0) this.problem = "pseudo-header field twice";
    const status = value.length === 3 ? digits(value) : -1;
    if (status < 100) this.problem = ":status is not three digits";
    // HTTP/2 has no upgrade (§8.6).
    else if (status === 101) this.problem = ":status 101";
    this.status = status;
  }

  #length(value: string): void {
    const length = value.length <= 15 ? digits(value) : -1;
    if (length < 0) this.problem = "content-length is no number";
    else if (this.contentLength >= 0 && this.contentLength !== length) {
      this.problem = "content-length twice";
    }
    this.contentLength = length;
  }
}

const Seen = { method: 1, scheme: 2, authority: 4, path: 8 } as const;

/** The number, or -1 if the text is anything but digits. */
function digits(text: string): number {
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return text.length === 0 ? -1 : value;
}

/** Or a control character: both would mean something else in an HTTP/1 request line. */
function hasBlank(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f) return true;
  }
  return false;
}

function isToken(text: string): boolean {
  switch (text) {
    case "GET":
    case "POST":
    case "PUT":
    case "HEAD":
      return true;
    default:
      return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
  }
}
