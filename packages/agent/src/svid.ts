import { type KeyObject, X509Certificate } from "node:crypto";
import { keyDer } from "./csr.ts";

/** A machine's identity at one moment: a chain, its key, and the anchors that it chains to. */
export interface HeldSvid {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly key: KeyObject;
  /** PEM. */
  readonly anchors: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The SVID in use, and everyone who must hear of its successor. */
export class SvidHolder {
  #current: HeldSvid;
  readonly #waiting = new Set<() => void>();

  constructor(first: HeldSvid) {
    this.#current = first;
  }

  get current(): HeldSvid {
    return this.#current;
  }

  set(next: HeldSvid): void {
    this.#current = next;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Resolves at the next change, or when the signal aborts. */
  async changed(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }
}

/** @throws if the chain's first certificate does not parse. */
export function heldSvid(
  spiffeId: string,
  chain: readonly Uint8Array[],
  key: KeyObject,
  anchors: string,
): HeldSvid {
  const leaf = new X509Certificate(chain[0] ?? new Uint8Array());
  return {
    spiffeId,
    chain,
    key,
    anchors,
    notBeforeMs: leaf.validFromDate.getTime(),
    notAfterMs: leaf.validToDate.getTime(),
  };
}

/** What the Workload API calls an SVID: everything in DER, several certificates end to end. */
export function workloadSvid(svid: HeldSvid): {
  spiffeId: string;
  x509Svid: Uint8Array;
  x509SvidKey: Uint8Array;
  bundle: Uint8Array;
} {
  return {
    spiffeId: svid.spiffeId,
    x509Svid: Buffer.concat(svid.chain),
    x509SvidKey: keyDer(svid.key),
    bundle: Buffer.concat(derOf(svid.anchors)),
  };
}

/** The certificates of a PEM text, in DER. */
export function derOf(pem: string): Uint8Array[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new Uint8Array(new X509Certificate(block).raw));
}

/** The chain as PEM, for files and for TLS. */
export function pemOf(chain: readonly Uint8Array[]): string {
  return chain
    .map((der) => {
      const lines =
        Buffer.from(der)
          .toString("base64")
          .match(/.{1,64}/g) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
    })
    .join("");
}

/**
 * When to renew: at two thirds of the life, and at once if that is past.
 *
 * @returns milliseconds from now.
 */
export function renewalDelayMs(svid: HeldSvid, wallMs: number): number {
  const { notBeforeMs, notAfterMs } = svid;
  return Math.max(0, notBeforeMs + ((notAfterMs - notBeforeMs) * 2) / 3 - wallMs);
}
