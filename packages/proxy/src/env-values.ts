/**
 * The value syntaxes of Linkerd's environment variables (docs/reference, "value syntaxes"). Each
 * takes the text of a variable and throws a SyntaxError on what it does not take.
 */
import { isIP } from "node:net";

/** An address of a server: an IP literal or a DNS name, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export interface AddressRange {
  readonly family: 4 | 6;
  /** The network's bits, the first `prefix` of them significant. */
  readonly bits: bigint;
  readonly prefix: number;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `10s`, `250ms`; a bare number only if it is 0. */
export function duration(text: string): number {
  const match = /^\s*(\d+)(ms|s|m|h|d)?\s*$/.exec(text);
  if (match === null) throw new SyntaxError("expected a duration such as 10s or 250ms");
  const value = Number(match[1]);
  if (match[2] === undefined) {
    if (value !== 0) throw new SyntaxError("expected a unit: ms, s, m, h or d");
    return 0;
  }
  const ms = value * UNIT_MS[match[2]]!;
  if (!Number.isSafeInteger(ms)) throw new SyntaxError("duration is too long");
  return ms;
}

/** As `duration`; the empty text means none. */
export function durationOrNone(text: string): number | undefined {
  return text === "" ? undefined : duration(text);
}

export function boolean(text: string): boolean {
  if (text === "true") return true;
  if (text === "false") return false;
  throw new SyntaxError("expected true or false");
}

/** A whole number from 0 to 2^53 - 1. */
export function integer(text: string): number {
  const value = /^\+?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new SyntaxError("expected a whole number");
  return value;
}

export function u32(text: string): number {
  const value = integer(text);
  if (value > 0xffffffff) throw new SyntaxError("number is too large");
  return value;
}

export function float(text: string): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new SyntaxError("expected a number");
  return value;
}

/** `ip:port` or `[ip6]:port`. */
export function socketAddress(text: string): HostPort {
  const address = hostPort(text);
  if (isIP(address.host) === 0) throw new SyntaxError("expected an IP address and a port");
  return address;
}

/** One or two socket addresses, with a comma between. */
export function socketAddresses(text: string): HostPort[] {
  const addresses = text.split(",").map(socketAddress);
  if (addresses.length > 2) throw new SyntaxError("expected one or two addresses");
  return addresses;
}

/** An IP literal or a DNS name, and a port. The name keeps its trailing dot. */
export function hostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) throw new SyntaxError("expected host:port");
  const port = Number(match[3]);
  if (port > 65535) throw new SyntaxError("port is out of range");
  if (match[1] !== undefined) {
    if (isIP(match[1]) !== 6) throw new SyntaxError("expected an IPv6 address in brackets");
    return { host: match[1], port };
  }
  const host = match[2]!;
  if (isIP(host) === 0 && !isDnsName(host)) throw new SyntaxError(`"${host}" is no host name`);
  return { host, port };
}

/** `80,4190-4199`; spaces and empty entries are tolerated. */
export function portSet(text: string): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const part of text.split(",")) {
    const entry = part.trim();
    if (entry === "") continue;
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(entry);
    if (match === null) throw new SyntaxError(`"${entry}" is no port and no range of ports`);
    const low = Number(match[1]);
    const high = match[2] === undefined ? low : Number(match[2]);
    if (high > 65535 || low > high) throw new SyntaxError(`"${entry}" is out of range or reversed`);
    for (let port = low; port <= high; port++) ports.add(port);
  }
  return ports;
}

/** A DNS name: at most 253 bytes of labels, the last not all digits, one trailing dot at most. */
export function isDnsName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > 253) return false;
  const labels = name.split(".");
  for (const label of labels) {
    if (label.length > 63 || !/^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$/.test(label))
      return false;
  }
  return !/^\d+$/.test(labels.at(-1)!);
}

export function dnsName(text: string): string {
  if (!isDnsName(text)) throw new SyntaxError("expected a DNS name");
  return text.toLowerCase();
}

/** A set of names by their ends, label by label. */
export class SuffixSet {
  readonly #suffixes: readonly string[];

  /** @param suffixes - Lower-case, without trailing dots; the empty one stands for all names. */
  constructor(suffixes: readonly string[]) {
    this.#suffixes = suffixes;
  }

  /** @param name - With or without a trailing dot. */
  matches(name: string): boolean {
    const plain = (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
    for (const suffix of this.#suffixes) {
      if (suffix === "" || plain === suffix || plain.endsWith(`.${suffix}`)) return true;
    }
    return false;
  }

  get isEmpty(): boolean {
    return this.#suffixes.length === 0;
  }
}

/** DNS suffixes with commas between; `.` stands for all names. */
export function suffixes(text: string): SuffixSet {
  const found: string[] = [];
  for (const part of text.split(",")) {
    const entry = part.trim();
    if (entry === "") continue;
    if (entry === ".") found.push("");
    else if (isDnsName(entry)) found.push(entry.replace(/\.$/, "").toLowerCase());
    else throw new SyntaxError(`"${entry}" is no DNS suffix`);
  }
  return new SuffixSet(found);
}

/** A set of IP networks. */
export class NetworkSet {
  readonly #ranges: readonly AddressRange[];

  constructor(ranges: readonly AddressRange[]) {
    this.#ranges = ranges;
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  get ranges(): readonly AddressRange[] {
    return this.#ranges;
  }

  /** @param ip - A literal. */
  has(ip: string): boolean {
    if (this.#ranges.length === 0) return false;
    const family = isIP(ip);
    if (family === 0) return false;
    const bits = ipBits(ip, family as 4 | 6);
    const width = family === 4 ? 32 : 128;
    for (const range of this.#ranges) {
      if (range.family !== family) continue;
      const shift = BigInt(width - range.prefix);
      if (bits >> shift === range.bits >> shift) return true;
    }
    return false;
  }
}

/** CIDRs with commas between. */
export function networks(text: string): NetworkSet {
  const ranges: AddressRange[] = [];
  for (const part of text.split(",")) {
    const entry = part.trim();
    if (entry !== "") ranges.push(network(entry));
  }
  return new NetworkSet(ranges);
}

export function network(entry: string): AddressRange {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(entry);
  const family = match === null ? 0 : isIP(match[1]!);
  const prefix = match === null ? 0 : Number(match[2]);
  if (family === 0 || prefix > (family === 4 ? 32 : 128)) {
    throw new SyntaxError(`"${entry}" is no CIDR`);
  }
  return { family: family as 4 | 6, bits: ipBits(match![1]!, family as 4 | 6), prefix };
}

/** IP literals with commas between, nothing else. */
export function ipSet(text: string): ReadonlySet<string> {
  const ips = new Set<string>();
  for (const entry of text.split(",")) {
    if (isIP(entry) === 0) throw new SyntaxError(`"${entry}" is no IP address`);
    ips.add(entry);
  }
  return ips;
}

/** The 32 or 128 bits of an IP literal, which must be one. */
export function ipBits(ip: string, family: 4 | 6): bigint {
  if (family === 4) {
    let bits = 0;
    for (const part of ip.split(".")) bits = bits * 256 + Number(part);
    return BigInt(bits);
  }
  let text = ip.split("%")[0]!;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const low = ipBits(dotted[2]!, 4);
    text = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const [head, tail] = text.split("::");
  const left = head === "" ? [] : head!.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = new Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill(
    "0",
  );
  let bits = 0n;
  for (const part of [...left, ...zeros, ...right]) bits = (bits << 16n) | BigInt(`0x${part}`);
  return bits;
}

export function oneOf<T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    if ((values as readonly string[]).includes(text)) return text as T;
    throw new SyntaxError(`expected one of ${values.join(", ")}`);
  };
}

export function string(text: string): string {
  return text;
}
