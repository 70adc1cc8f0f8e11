/**
 * A copy of a range that was lent. `bytes.slice` is none where `bytes` is a Buffer, which is what
 * sockets lend: there it is a view of the same memory.
 */
export function copyRange(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
