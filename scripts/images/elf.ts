/** The little of an ELF file that says which libraries a program needs. 64 bits, little-endian. */

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

/**
 * The names of the shared libraries that a program or library is linked with, and the path of its
 * loader. Empty for what is no ELF file or is linked statically.
 *
 * @throws Error if it is an ELF file of a form that no Linux machine of ours runs.
 */
export function neededBy(file: Buffer): {
  readonly libraries: readonly string[];
  readonly loader: string | undefined;
} {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) {
    return { libraries: [], loader: undefined };
  }
  if (file[4] !== 2 || file[5] !== 1) {
    throw new Error("Cannot read an ELF file: it is not one of 64 bits, little-endian");
  }
  const segments = segmentsOf(file);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const loader = interpreter && textAt(file, interpreter.offset);
  return { libraries: librariesOf(file, segments), loader };
}

function segmentsOf(file: Buffer): Segment[] {
  const [start, size, count] = [
    Number(file.readBigUInt64LE(32)),
    file.readUInt16LE(54),
    file.readUInt16LE(56),
  ];
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * size;
    return {
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      size: Number(file.readBigUInt64LE(at + 32)),
    };
  });
}

function librariesOf(file: Buffer, segments: readonly Segment[]): string[] {
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  if (dynamic === undefined) return [];
  const names: number[] = [];
  let strings = 0;
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    const tag = file.readBigInt64LE(at);
    if (tag === 0n) break;
    const value = file.readBigUInt64LE(at + 8);
    if (tag === DT_NEEDED) names.push(Number(value));
    if (tag === DT_STRTAB) strings = offsetOf(value, segments);
  }
  return names.map((name) => textAt(file, strings + name));
}

/** Where an address of the running program is in the file. */
function offsetOf(address: bigint, segments: readonly Segment[]): number {
  const segment = segments.find(
    (candidate) =>
      candidate.type === PT_LOAD &&
      address >= candidate.address &&
      address < candidate.address + BigInt(candidate.size),
  );
  if (segment === undefined) throw new Error("Cannot read an ELF file: its strings are not in it");
  return segment.offset + Number(address - segment.address);
}

function textAt(file: Buffer, at: number): string {
  const end = file.indexOf(0, at);
  return file.toString("latin1", at, end < 0 ? file.length : end);
}
