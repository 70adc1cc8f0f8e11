/** An IPv4 or IPv6 address as words of 32 bits, most significant first; IPv4 uses only `a`. */
export interface IpAddress {
  readonly version: 4 | 6;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** @param value - As in `net.IPAddress.ipv4`: 10.1.2.3 is 0x0A010203. */
export function ipv4(value: number): IpAddress {
  return { version: 4, a: value >>> 0, b: 0, c: 0, d: 0 };
}

/** @param first - The first eight bytes, big-endian; `last` the other eight. */
export function ipv6(first: bigint, last: bigint): IpAddress {
  return {
    version: 6,
    a: Number((first >> 32n) & 0xffffffffn),
    b: Number(first & 0xffffffffn),
    c: Number((last >> 32n) & 0xffffffffn),
    d: Number(last & 0xffffffffn),
  };
}

/** The halves that `net.IPv6` carries. */
export function ipv6Halves(ip: IpAddress): { readonly first: bigint; readonly last: bigint } {
  return {
    first: (BigInt(ip.a) << 32n) | BigInt(ip.b),
    last: (BigInt(ip.c) << 32n) | BigInt(ip.d),
  };
}

/** Undefined unless `text` is an address and nothing else: no zone, no brackets, no leading zeros. */
export function parseIp(text: string): IpAddress | undefined {
  if (text.includes(":")) return parseV6(text);
  const value = parseV4(text);
  return value === undefined ? undefined : ipv4(value);
}

/**
 * The address a peer on a dual-stack socket really has: `::ffff:10.0.0.1` is 10.0.0.1, so that
 * networks written as IPv4 apply to it.
 */
export function unmapped(ip: IpAddress): IpAddress {
  const mapped = ip.version === 6 && ip.a === 0 && ip.b === 0 && ip.c === 0xffff;
  return mapped ? ipv4(ip.d) : ip;
}

export function sameIp(x: IpAddress, y: IpAddress): boolean {
  return x.version === y.version && x.a === y.a && x.b === y.b && x.c === y.c && x.d === y.d;
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: IpAddress): boolean {
  if (ip.version === 4) return ip.a >>> 24 === 127;
  return ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1;
}

/** The canonical text: RFC 5952 for IPv6. */
export function formatIp(ip: IpAddress): string {
  if (ip.version === 4) return formatV4(ip.a);
  const groups: number[] = [];
  for (const word of [ip.a, ip.b, ip.c, ip.d]) groups.push(word >>> 16, word & 0xffff);
  if (ip.a === 0 && ip.b === 0 && ip.c === 0xffff) return `::ffff:${formatV4(ip.d)}`;
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.map((group) => group.toString(16)).join(":");
  const hex = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(":");
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}

/** A block of addresses. Equal blocks have equal text. */
export class IpNetwork {
  /** The lowest address of the block. */
  readonly ip: IpAddress;
  readonly prefixLength: number;
  readonly #masks: readonly [number, number, number, number];

  /** Bits of `ip` beyond the prefix are cleared. `prefixLength` must fit the address's family. */
  constructor(ip: IpAddress, prefixLength: number) {
    const masks = [0, 32, 64, 96].map((bits) => mask(prefixLength - bits));
    this.#masks = [masks[0]!, masks[1]!, masks[2]!, masks[3]!];
    this.ip = {
      version: ip.version,
      a: (ip.a & masks[0]!) >>> 0,
      b: (ip.b & masks[1]!) >>> 0,
      c: (ip.c & masks[2]!) >>> 0,
      d: (ip.d & masks[3]!) >>> 0,
    };
    this.prefixLength = prefixLength;
  }

  /** Hot: allocates nothing. */
  contains(ip: IpAddress): boolean {
    const own = this.ip;
    if (own.version !== ip.version) return false;
    const masks = this.#masks;
    if ((ip.a & masks[0]) >>> 0 !== own.a) return false;
    if (own.version === 4 || this.prefixLength <= 32) return true;
    return (
      (ip.b & masks[1]) >>> 0 === own.b &&
      (ip.c & masks[2]) >>> 0 === own.c &&
      (ip.d & masks[3]) >>> 0 === own.d
    );
  }

  /** Whether every address of `other` is in this block. */
  covers(other: IpNetwork): boolean {
    return this.prefixLength <= other.prefixLength && this.contains(other.ip);
  }

  toString(): string {
    return `${formatIp(this.ip)}/${this.prefixLength}`;
  }
}

/** Takes `10.0.0.0/8` and a bare address, which is a block of one. Host bits are tolerated. */
export function parseNetwork(text: string): IpNetwork {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (ip === undefined) throw new SyntaxError(`"${text}" is not an IP network`);
  const bits = ip.version === 4 ? 32 : 128;
  if (slash < 0) return new IpNetwork(ip, bits);
  const suffix = text.slice(slash + 1);
  const length = decimal(suffix, 3);
  if (length === undefined || length > bits) {
    throw new SyntaxError(`"${text}" is not an IP network: the prefix length is 0 to ${bits}`);
  }
  return new IpNetwork(ip, length);
}

/** Takes a comma list of networks; blanks around them and empty items are ignored. */
export function parseNetworks(text: string): IpNetwork[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")
    .map(parseNetwork);
}

/** A block without some blocks inside it: `net.Network` with its `except`. */
export class NetworkMatch {
  readonly network: IpNetwork;
  readonly except: readonly IpNetwork[];

  constructor(network: IpNetwork, except: readonly IpNetwork[] = []) {
    this.network = network;
    this.except = except;
  }

  /** Hot: allocates nothing. */
  contains(ip: IpAddress): boolean {
    if (!this.network.contains(ip)) return false;
    for (let i = 0; i < this.except.length; i++) if (this.except[i]!.contains(ip)) return false;
    return true;
  }
}

/** Both families whole: what "from anywhere" means. */
export const ALL_NETWORKS: readonly NetworkMatch[] = [
  new NetworkMatch(new IpNetwork(ipv4(0), 0)),
  new NetworkMatch(new IpNetwork(ipv6(0n, 0n), 0)),
];

function mask(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function formatV4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** A number without sign, blanks or leading zeros. */
function decimal(text: string, maxDigits: number): number | undefined {
  if (text.length === 0 || text.length > maxDigits) return undefined;
  if (text.length > 1 && text.charCodeAt(0) === 0x30) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

function parseV4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    const byte = decimal(part, 3);
    if (byte === undefined || byte > 255) return undefined;
    value = value * 256 + byte;
  }
  return value;
}

function parseV6(text: string): IpAddress | undefined {
  const gap = text.indexOf("::");
  let groups: number[] | undefined;
  if (gap < 0) {
    groups = v6Groups(text);
  } else {
    if (text.indexOf("::", gap + 1) >= 0) return undefined;
    const head = gap === 0 ? [] : v6Groups(text.slice(0, gap), false);
    const tail = gap + 2 === text.length ? [] : v6Groups(text.slice(gap + 2));
    if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
    groups = [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  }
  if (groups?.length !== 8) return undefined;
  const word = (i: number): number => ((groups[i]! << 16) | groups[i + 1]!) >>> 0;
  return { version: 6, a: word(0), b: word(2), c: word(4), d: word(6) };
}

/** @param last - Whether the text ends the address, where it may be written as IPv4. */
function v6Groups(text: string, last = true): number[] | undefined {
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".")) {
      const value = parseV4(part);
      if (value === undefined || !last || index !== parts.length - 1) return undefined;
      groups.push(value >>> 16, value & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups.length > 8 ? undefined : groups;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (i < groups.length && groups[i] === 0) continue;
    if (i - start > best.length) best = { start, length: i - start };
    start = i + 1;
  }
  return best;
}
