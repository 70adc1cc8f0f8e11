import type { Side } from "@heddle/base/errors";
import { COLON, FIELD_TEXT, latin1, SPACE, TAB } from "./ascii.ts";
import { http1Error } from "./errors.ts";
import type { FieldCache } from "./field-cache.ts";
import { FieldKind, type FieldNames } from "./field-names.ts";
import { isAuthority } from "./target.ts";

/** A line's range, as `LineReader` leaves it. */
export interface Line {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * Reads single field lines, of heads and of trailers: `token ":" OWS text OWS`, nothing else. No
 * folding, no whitespace before the colon, no control bytes; values are one character per byte.
 */
export class FieldReader {
  /** What the last `read` found. */
  name = "";
  value = "";
  kind: FieldKind = FieldKind.ORDINARY;
  readonly #side: Side;
  readonly #cache: FieldCache;
  readonly #names: FieldNames;

  constructor(side: Side, cache: FieldCache, names: FieldNames) {
    this.#side = side;
    this.#cache = cache;
    this.#names = names;
  }

  /** Hot: allocates nothing for a line that was read before. */
  read(line: Line): void {
    const cache = this.#cache;
    if (cache.find(line.bytes, line.start, line.end)) {
      this.name = cache.name;
      this.value = cache.value;
      this.kind = cache.kind;
      return;
    }
    this.#parse(line);
    if (this.kind !== FieldKind.SECRET) cache.insert(line, this.name, this.value, this.kind);
  }

  #parse({ bytes, start, end }: Line): void {
    const first = bytes[start]!;
    if (first === SPACE || first === TAB) throw this.#bad("a folded line");
    const colon = this.#names.find(bytes, start, end);
    if (colon === start) throw this.#bad("a field without a name");
    if (colon === end) throw this.#bad("a field without a colon");
    if (bytes[colon] !== COLON) throw this.#bad("a field name with a byte that is no token's");
    this.name = this.#names.name;
    this.kind = this.#names.kind;
    let from = colon + 1;
    let to = end;
    while (from < to && isBlank(bytes[from]!)) from++;
    while (to > from && isBlank(bytes[to - 1]!)) to--;
    for (let at = from; at < to; at++) {
      if (FIELD_TEXT[bytes[at]!] === 0) throw this.#bad("a control byte in a field value");
    }
    // Checked here, so that a line from the cache is known to be good. Empty is for the caller.
    if (this.kind === FieldKind.HOST && from < to && !isAuthority(bytes, from, to)) {
      throw http1Error("http1_bad_host", this.#side, "a host that is no authority");
    }
    this.value = latin1(bytes, from, to);
  }

  #bad(found: string): Error {
    return http1Error("http1_bad_field", this.#side, found);
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}
