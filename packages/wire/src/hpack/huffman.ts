/**
 * The Huffman code of HPACK (RFC 7541, appendix B). The code is canonical: within one length the
 * codes go up with the symbol, and longer codes go on where shorter ones ended. So the lengths alone
 * define it, and both directions' tables are computed from them.
 */

/** Runs of [count, bits] over the symbols 0 to 256; 256 is EOS. */
const RUNS: readonly number[] = [
  1, 13, 1, 23, 7, 28, 1, 24, 1, 30, 2, 28, 1, 30, 8, 28, 1, 30, 9, 28, 1, 6, 2, 10, 1, 12, 1, 13,
  1, 6, 1, 8, 1, 11, 2, 10, 1, 8, 1, 11, 1, 8, 3, 6, 3, 5, 7, 6, 1, 7, 1, 8, 1, 15, 1, 6, 1, 12, 1,
  10, 1, 13, 1, 6, 22, 7, 1, 8, 1, 7, 1, 8, 1, 13, 1, 19, 1, 13, 1, 14, 1, 6, 1, 15, 1, 5, 1, 6, 1,
  5, 1, 6, 1, 5, 3, 6, 1, 5, 2, 7, 3, 6, 1, 5, 1, 6, 1, 7, 1, 6, 2, 5, 1, 6, 5, 7, 1, 15, 1, 11, 1,
  14, 1, 13, 1, 28, 1, 20, 1, 22, 2, 20, 3, 22, 1, 23, 1, 22, 5, 23, 1, 24, 1, 23, 2, 24, 1, 22, 1,
  23, 1, 24, 4, 23, 1, 21, 1, 22, 1, 23, 1, 22, 2, 23, 1, 24, 1, 22, 1, 21, 1, 20, 2, 22, 2, 23, 1,
  21, 1, 23, 2, 22, 1, 24, 1, 21, 1, 22, 2, 23, 2, 21, 1, 22, 1, 21, 1, 23, 1, 22, 2, 23, 1, 20, 3,
  22, 1, 23, 2, 22, 1, 23, 2, 26, 1, 20, 1, 19, 1, 22, 1, 23, 1, 22, 1, 25, 3, 26, 2, 27, 1, 26, 1,
  24, 1, 25, 1, 19, 1, 21, 1, 26, 2, 27, 1, 26, 1, 27, 1, 24, 2, 21, 2, 26, 1, 28, 3, 27, 1, 20, 1,
  24, 1, 20, 1, 21, 1, 22, 2, 21, 1, 23, 2, 22, 2, 25, 2, 24, 1, 26, 1, 23, 1, 26, 1, 27, 2, 26, 5,
  27, 1, 28, 5, 27, 1, 26, 1, 30,
];

const EOS = 256;
const MAX_BITS = 30;
/** Codes up to this length, all that plain text has, are decoded by one look into a table. */
const ROOT_BITS = 10;

const LENGTHS: Uint8Array = lengthsOf(RUNS);
const CODES = new Uint32Array(EOS + 1);
/** Indexed by the next 10 bits: symbol << 4 | bits; 0 where the code is longer. */
const ROOT = new Uint16Array(1 << ROOT_BITS);
/** Symbols in the order of their codes. */
const ORDER = new Uint16Array(EOS + 1);
/** By length: the first code, the place of its symbol in ORDER, and how many there are. */
const FIRST_CODE = new Uint32Array(MAX_BITS + 1);
const FIRST_PLACE = new Uint16Array(MAX_BITS + 1);
const COUNT = new Uint16Array(MAX_BITS + 1);

fillTables();

/** Bytes that `writeHuffman` would take for `text`, whose characters are bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 0xff]!;
  return (bits + 7) >> 3;
}

/** Writes `huffmanLength(text)` bytes at `offset` and returns the offset behind them. */
export function writeHuffman(text: string, bytes: Uint8Array, offset: number): number {
  let at = offset;
  // At most 7 bits are left over before a code of at most 30 is added: done in two halves, so that
  // the accumulator stays within 32 bits.
  let pending = 0;
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = CODES[symbol]!;
    let left = LENGTHS[symbol]!;
    while (left > 0) {
      const take = Math.min(left, 16);
      left -= take;
      pending = (pending << take) | ((code >>> left) & ((1 << take) - 1));
      count += take;
      while (count >= 8) {
        count -= 8;
        bytes[at++] = pending >>> count;
        pending &= (1 << count) - 1;
      }
    }
  }
  if (count > 0) bytes[at++] = (pending << (8 - count)) | (0xff >> count);
  return at;
}

/**
 * Decodes a range into `out`, which must have room for 8/5 of it. Hot: allocates nothing.
 *
 * @returns the number of bytes written, or -1 if the range holds EOS, or padding that is longer than
 * 7 bits or has a zero in it (§5.2).
 */
export function readHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
): number {
  let written = 0;
  let at = start;
  // The lowest `count` bits of `pending` are unread; between 24 and 32 while input lasts.
  let pending = 0;
  let count = 0;
  for (;;) {
    while (count <= 16 && at < end) {
      pending = (pending << 8) | bytes[at++]!;
      count += 8;
    }
    if (count < ROOT_BITS && at === end) break;
    const entry = ROOT[(pending >>> (count - ROOT_BITS)) & 0x3ff]!;
    if (entry !== 0) {
      out[written++] = entry >>> 4;
      count -= entry & 15;
      continue;
    }
    // Rare: a control byte or one above 126. Bit by bit from here.
    let code = (pending >>> (count - ROOT_BITS)) & 0x3ff;
    let bits = ROOT_BITS;
    count -= ROOT_BITS;
    let symbol = -1;
    while (symbol < 0 && bits < MAX_BITS) {
      if (count === 0) {
        if (at === end) return isPadding(code, bits) ? written : -1;
        pending = bytes[at++]!;
        count = 8;
      }
      count--;
      code = ((code << 1) | ((pending >>> count) & 1)) >>> 0;
      bits++;
      const place = code - FIRST_CODE[bits]!;
      if (place >= 0 && place < COUNT[bits]!) symbol = ORDER[FIRST_PLACE[bits]! + place]!;
    }
    if (symbol < 0 || symbol === EOS) return -1;
    out[written++] = symbol;
  }
  // Fewer than 10 bits are left: whole short codes, then at most 7 ones.
  while (count > 0) {
    const left = pending & ((1 << count) - 1);
    const entry = ROOT[(left << (ROOT_BITS - count)) & 0x3ff]!;
    const bits = entry & 15;
    if (entry === 0 || bits > count) return isPadding(left, count) ? written : -1;
    out[written++] = entry >>> 4;
    count -= bits;
  }
  return written;
}

function isPadding(code: number, bits: number): boolean {
  return bits <= 7 && code === (1 << bits) - 1;
}

function lengthsOf(runs: readonly number[]): Uint8Array {
  const lengths = new Uint8Array(EOS + 1);
  let symbol = 0;
  for (let i = 0; i < runs.length; i += 2) {
    for (let n = runs[i]!; n > 0; n--) lengths[symbol++] = runs[i + 1]!;
  }
  return lengths;
}

function fillTables(): void {
  let code = 0;
  let place = 0;
  for (let bits = 1; bits <= MAX_BITS; bits++) {
    code *= 2;
    FIRST_CODE[bits] = code;
    FIRST_PLACE[bits] = place;
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (LENGTHS[symbol] !== bits) continue;
      CODES[symbol] = code;
      ORDER[place++] = symbol;
      if (bits <= ROOT_BITS) {
        const low = code << (ROOT_BITS - bits);
        for (let i = 0; i < 1 << (ROOT_BITS - bits); i++) ROOT[low + i] = (symbol << 4) | bits;
      }
      code++;
    }
    COUNT[bits] = place - FIRST_PLACE[bits]!;
  }
}
