import type { Side } from "@heddle/base/errors";
import { http1Error } from "./errors.ts";
import { FieldKind } from "./field-names.ts";

/**
 * What the fields of one head say about where its body ends and what becomes of the connection.
 * Fed field by field; one per parser, reused.
 *
 * Every doubt is refused: `content-length` beside `transfer-encoding`, either of them twice (even
 * if equal: intermediaries differ in which they pass on), a length that is not plain digits, a
 * coding other than a single `chunked`, several hosts.
 */
export class Framing {
  /** The declared length; -1 if there was none. */
  length = -1;
  isChunked = false;
  hasHost = false;
  /** `connection` holds this option. */
  closes = false;
  keepsAlive = false;
  upgrades = false;
  /** There is a field to strip, beside those that `isPlainConnection` tells. */
  hasHopByHop = false;
  /** The `upgrade` field; empty if there is none. */
  protocol = "";
  expectsContinue = false;
  readonly #side: Side;

  constructor(side: Side) {
    this.#side = side;
  }

  reset(): void {
    this.length = -1;
    this.isChunked = false;
    this.hasHost = false;
    this.closes = false;
    this.keepsAlive = false;
    this.upgrades = false;
    this.hasHopByHop = false;
    this.protocol = "";
    this.expectsContinue = false;
  }

  /** For every field whose kind is not ordinary. Hot. */
  note(kind: FieldKind, value: string): void {
    switch (kind) {
      case FieldKind.CONTENT_LENGTH:
        this.#noteLength(value);
        break;
      case FieldKind.TRANSFER_ENCODING:
        this.#noteCoding(value);
        break;
      case FieldKind.HOST:
        if (this.hasHost) throw http1Error("http1_bad_host", this.#side, "several hosts");
        this.hasHost = true;
        break;
      case FieldKind.CONNECTION:
        this.#noteConnection(value);
        break;
      case FieldKind.UPGRADE:
        this.hasHopByHop = true;
        this.protocol = this.protocol === "" ? value : `${this.protocol}, ${value}`;
        break;
      case FieldKind.HOP_BY_HOP:
        this.hasHopByHop = true;
        break;
      case FieldKind.EXPECT:
        if (value.toLowerCase() === "100-continue") this.expectsContinue = true;
        break;
      default:
    }
  }

  #noteLength(value: string): void {
    if (this.length >= 0) throw this.#bad("several content lengths");
    // 15 digits are below 2^53, so that no arithmetic on them can go wrong.
    if (value.length === 0 || value.length > 15) throw this.#bad("a content length out of range");
    let length = 0;
    for (let i = 0; i < value.length; i++) {
      const digit = value.charCodeAt(i) - 0x30;
      if (digit < 0 || digit > 9) throw this.#bad("a content length that is no number");
      length = length * 10 + digit;
    }
    this.length = length;
  }

  #noteCoding(value: string): void {
    if (this.isChunked) throw this.#bad("several transfer codings");
    if (value !== "chunked" && value.toLowerCase() !== "chunked") throw this.#badCoding(value);
    this.isChunked = true;
  }

  #noteConnection(value: string): void {
    if (value === "close") this.closes = true;
    else if (value === "keep-alive") this.keepsAlive = true;
    else {
      this.hasHopByHop = true;
      for (const option of value.split(",")) {
        const name = option.trim().toLowerCase();
        if (name === "close") this.closes = true;
        else if (name === "keep-alive") this.keepsAlive = true;
        else if (name === "upgrade") this.upgrades = true;
      }
    }
  }

  /** 501 if the body's end could be found by a recipient that knows the codings, else 400. */
  #badCoding(value: string): Error {
    const codings = value
      .toLowerCase()
      .split(",")
      .map((coding) => coding.trim());
    const last = codings.pop();
    const isKnown = /^(gzip|x-gzip|deflate|compress|x-compress|br|zstd)$/;
    if (last === "chunked" && codings.every((coding) => isKnown.test(coding))) {
      return http1Error("http1_unknown_coding", this.#side, "a transfer coding beside chunked");
    }
    return this.#bad("a transfer coding that is not chunked");
  }

  #bad(found: string): Error {
    return http1Error("http1_bad_framing", this.#side, found);
  }
}

/** A `connection` field that names no other field: noted, it can be dropped, as most of them are. */
export function isPlainConnection(kind: FieldKind, value: string): boolean {
  return kind === FieldKind.CONNECTION && (value === "close" || value === "keep-alive");
}
