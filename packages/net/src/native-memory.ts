/** Of `mallopt` (malloc.h of glibc). */
const M_TOP_PAD = -2;
const M_MMAP_THRESHOLD = -3;

/** Below the 16 KiB of the buffers that the runtime's TLS has for each connection. */
const MAPPED_FROM_BYTES = 16_000;

/**
 * For a process that holds thousands of quiet TLS connections. The runtime keeps some 37 KB of
 * encrypted bytes' buffers for each, and a read buffer of 64 KiB while it reads, and hardly uses more
 * than their first pages; taken from the heap, they consist of pages that others have touched before.
 * From now on such blocks are mapped by themselves, so that only touched pages count, for a few more
 * system calls when a connection opens and when it reads.
 *
 * @returns false where the allocator is another one, or the runtime has no `node:ffi`.
 */
export function mapLargeBlocks(): boolean {
  if (process.platform !== "linux") return false;
  const ffi = process.getBuiltinModule("node:ffi");
  if (ffi === undefined) return false;
  let set: (parameter: number, value: number) => unknown;
  try {
    set = ffi.dlopen(null, { mallopt: { return: "i32", arguments: ["i32", "i32"] } }).functions
      .mallopt;
  } catch {
    // musl has no such function, and needs none: it maps large blocks anyway.
    return false;
  }
  // Each returns 1 on success.
  return set(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) === 1 && set(M_TOP_PAD, 0) === 1;
}
