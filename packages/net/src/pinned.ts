/**
 * Memory that native calls may be given by address: each in an ArrayBuffer of its own, which the
 * garbage collector never moves.
 */
const addresses = new WeakMap<Uint8Array, bigint>();

/** Zeroed, for as long as its owner keeps it. */
export function newPinned(bytes: number): Buffer {
  const memory = Buffer.from(new ArrayBuffer(bytes));
  const ffi = process.getBuiltinModule("node:ffi");
  if (ffi !== undefined) addresses.set(memory, ffi.getRawPointer(memory));
  return memory;
}

/**
 * Address of the first byte of `bytes`. Undefined if `newPinned` did not return this very object,
 * or if this runtime has no `node:ffi`. Hot.
 */
export function addressOf(bytes: Uint8Array): bigint | undefined {
  return addresses.get(bytes);
}
