import { isIP } from "node:net";

/** A block of addresses, of either family. */
export class IpRange {
  readonly #family: 4 | 6;
  readonly #first: bigint;
  readonly #size: bigint;

  /** @throws SyntaxError on anything but `address/bits`. */
  static parse(cidr: string): IpRange {
    const [address = "", bits = "", extra] = cidr.split("/");
    const family = isIP(address);
    const width = family === 6 ? 128 : 32;
    const isBlock = /^\d{1,3}$/.test(bits) && Number(bits) <= width && extra === undefined;
    if (family === 0 || !isBlock) throw new SyntaxError(`"${cidr}" is no range of addresses`);
    const size = 1n << BigInt(width - Number(bits));
    const number = toNumber(address, family as 4 | 6);
    return new IpRange(family as 4 | 6, number - (number % size), size);
  }

  private constructor(family: 4 | 6, first: bigint, size: bigint) {
    this.#family = family;
    this.#first = first;
    this.#size = size;
  }

  /** Whether an address may be taken: the network's own and the broadcast address may not. */
  has(address: string): boolean {
    if (isIP(address) !== this.#family) return false;
    const offset = toNumber(address, this.#family) - this.#first;
    return offset > 0n && offset < this.#last;
  }

  /**
   * The lowest address that is not taken; undefined if there is none. The first of the range is
   * left free: it is by custom that of the API itself.
   */
  firstFree(taken: ReadonlySet<string>): string | undefined {
    // At most one more than are taken need to be looked at.
    for (let offset = 2n; offset < this.#last; offset++) {
      const address = toText(this.#first + offset, this.#family);
      if (!taken.has(address)) return address;
    }
    return undefined;
  }

  /** The offset of the broadcast address, or one past the end where there is none. */
  get #last(): bigint {
    return this.#family === 4 ? this.#size - 1n : this.#size;
  }
}

function toNumber(address: string, family: 4 | 6): bigint {
  if (family === 4) {
    return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  }
  const [head = "", tail] = address.split("::");
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = new Array<bigint>(8 - left.length - right.length).fill(0n);
  return [...left, ...middle, ...right].reduce((sum, group) => (sum << 16n) | group, 0n);
}

function groups(text: string): bigint[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [BigInt(`0x${group}`)];
    const number = toNumber(group, 4);
    return [number >> 16n, number & 0xffffn];
  });
}

function toText(number: bigint, family: 4 | 6): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => (number >> shift) & 0xffn).join(".");
  }
  const parts: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) {
    parts.push(((number >> shift) & 0xffffn).toString(16));
  }
  // The URL parser knows the shortest form.
  return new URL(`http://[${parts.join(":")}]`).hostname.slice(1, -1);
}
