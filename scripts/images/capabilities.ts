/** Linux capabilities of files, as the attribute `security.capability` holds them. */

const REVISION_2 = 0x0200_0000;

/** Bits, from `linux/capability.h`. */
export const CAPABILITIES = { netAdmin: 12, netRaw: 13 } as const;

/**
 * Lets a program have these capabilities where its container may have them, and leaves it to the
 * program to take them up. Without that last bit the kernel would refuse to start it where it may not.
 */
export function permitted(...bits: readonly number[]): Uint8Array {
  const mask = bits.reduce((sum, bit) => sum | (1 << bit), 0) >>> 0;
  const value = Buffer.alloc(20);
  value.writeUInt32LE(REVISION_2, 0);
  value.writeUInt32LE(mask, 4);
  return value;
}
