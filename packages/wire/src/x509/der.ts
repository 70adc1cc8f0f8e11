import { MeshError } from "@heddle/base/errors";

/** Universal and context tags, as they stand in the identifier octet. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Walks the elements of one constructed value in DER (X.690): definite, minimal lengths of at most
 * three octets, one-octet tags. Whatever breaks that throws MeshError `bad_certificate`.
 */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  /** Where the next element begins. */
  at: number;
  /** Of the element read last. */
  tag = 0;
  contentStart = 0;
  contentEnd = 0;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get isAtEnd(): boolean {
    return this.at === this.end;
  }

  /** The next tag without reading the element; -1 at the end. */
  peekTag(): number {
    return this.at < this.end ? this.bytes[this.at]! : -1;
  }

  /** Reads one element, which must have this tag unless it is undefined. */
  next(tag?: number): void {
    const { bytes, end } = this;
    if (end - this.at < 2) throw malformed("an element is cut off");
    this.tag = bytes[this.at]!;
    if ((this.tag & 0x1f) === 0x1f) throw malformed("a tag of several octets");
    if (tag !== undefined && this.tag !== tag) {
      throw malformed(`tag ${this.tag} where ${tag} belongs`);
    }
    let length = bytes[this.at + 1]!;
    let start = this.at + 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets < 1 || octets > 3) throw malformed("a length of another form than DER's");
      if (end - start < octets) throw malformed("an element is cut off");
      length = 0;
      for (let i = 0; i < octets; i++) length = (length << 8) | bytes[start + i]!;
      if (length < 0x80 || (octets > 1 && length < 1 << (8 * (octets - 1)))) {
        throw malformed("a length that is not minimal");
      }
      start += octets;
    }
    if (end - start < length) throw malformed("an element is cut off");
    this.contentStart = start;
    this.contentEnd = start + length;
    this.at = this.contentEnd;
  }

  /** Reads one element and returns a reader for its inside. */
  inside(tag: number): DerReader {
    this.next(tag);
    return new DerReader(this.bytes, this.contentStart, this.contentEnd);
  }

  /** The content of the element read last. A view. */
  content(): Uint8Array {
    return this.bytes.subarray(this.contentStart, this.contentEnd);
  }

  /** Reads an OBJECT IDENTIFIER in dotted form. */
  oid(): string {
    this.next(Tag.oid);
    const content = this.content();
    if (content.length === 0 || content.length > 32) throw malformed("an OID of odd size");
    const arcs: number[] = [];
    let value = 0;
    for (const [index, octet] of content.entries()) {
      if (value === 0 && octet === 0x80) throw malformed("an OID that is not minimal");
      if (value > 0xff_ffff) throw malformed("an OID with a huge arc");
      value = value * 128 + (octet & 0x7f);
      if ((octet & 0x80) === 0) {
        arcs.push(value);
        value = 0;
      } else if (index === content.length - 1) {
        throw malformed("an OID that is cut off");
      }
    }
    const top = Math.min(2, Math.floor(arcs[0]! / 40));
    return [top, arcs[0]! - top * 40, ...arcs.slice(1)].join(".");
  }

  /** Throws unless everything was read. */
  finish(): void {
    if (!this.isAtEnd) throw malformed("something follows where nothing belongs");
  }
}

export function malformed(state: string): MeshError {
  return new MeshError("bad_certificate", "client", `Cannot read certificate: ${state}`);
}
