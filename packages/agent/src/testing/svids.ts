import { createPrivateKey } from "node:crypto";
import { type HeldSvid, heldSvid } from "../svid.ts";

export const TEST_MACHINE = "spiffe://mesh.test/ns/shop/external/vm-1";

interface Validity {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** `TestCa` of the testkit is one. */
export interface TestAuthority {
  readonly pem: string;
  leaf(
    options: { readonly sans: readonly { readonly uri: string }[] } & Validity,
  ): Promise<{ readonly der: Uint8Array; readonly keyPem: string }>;
}

/** For tests: an SVID of the test's authority. */
export async function newSvid(ca: TestAuthority, validity: Validity = {}): Promise<HeldSvid> {
  const leaf = await ca.leaf({ sans: [{ uri: TEST_MACHINE }], ...validity });
  return heldSvid(TEST_MACHINE, [leaf.der], createPrivateKey(leaf.keyPem), ca.pem);
}
