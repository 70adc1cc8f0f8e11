/** Wire types of protobuf. */
export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

/** Reads one message of protobuf, field by field. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** @throws SyntaxError on a field that protobuf does not know or that does not end. */
  tag(): { readonly number: number; readonly type: number } {
    const tag = Number(this.varint());
    const number = Math.floor(tag / 8);
    if (number === 0 || number > 0x1fffffff) throw new SyntaxError(`no field has number ${number}`);
    return { number, type: tag & 7 };
  }

  /** Unsigned, at most 64 bits. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.#at >= this.#end) throw truncated();
      const byte = this.#bytes[this.#at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new SyntaxError("a number is longer than ten bytes");
  }

  /** A varint as int64, which JSON must be able to say. */
  integer(): number {
    const value = Number(BigInt.asIntN(64, this.varint()));
    if (!Number.isSafeInteger(value)) throw new SyntaxError(`${value} is too large a number`);
    return value;
  }

  double(): number {
    if (this.#end - this.#at < 8) throw truncated();
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, true);
  }

  bytes(): Uint8Array {
    const length = Number(this.varint());
    if (length > this.#end - this.#at) throw truncated();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return UTF8.decode(this.bytes());
  }

  /** A reader of the message that stands here. */
  message(): Reader {
    return new Reader(this.bytes());
  }

  skip(type: number): void {
    if (type === VARINT) this.varint();
    else if (type === FIXED64) this.double();
    else if (type === BYTES) this.bytes();
    else if (type === FIXED32) {
      if (this.#end - this.#at < 4) throw truncated();
      this.#at += 4;
    } else throw new SyntaxError(`no field has wire type ${type}`);
  }
}

function truncated(): SyntaxError {
  return new SyntaxError("the message ends early");
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });
