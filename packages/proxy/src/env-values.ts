/**
 * The value syntaxes of Linkerd's environment variables (docs/reference, "value syntaxes"). Each
 * takes the text of a variable and throws a SyntaxError on what it does not take.
 */
import { isIP } from "node:net";
import { type DnsSuffixes, parseDnsName, parseDnsSuffixes } from "@heddle/model/dns-name";
import { parseTlsId, type TlsId } from "@heddle/model/identity";
import { type IpNetwork, parseIp, parseNetworks } from "@heddle/model/network";

/** An address of a server: an IP literal or a DNS name, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
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
  if (isIP(host) === 0 && parseDnsName(host) === undefined)
    throw new SyntaxError(`"${host}" is no host name`);
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

export function dnsName(text: string): string {
  const name = parseDnsName(text);
  if (name === undefined) throw new SyntaxError("expected a DNS name");
  return name;
}

/** DNS suffixes with commas between; `.` stands for all names. */
export function suffixes(text: string): DnsSuffixes {
  return parseDnsSuffixes(text);
}

/** A DNS name in lower case, or a SPIFFE id. */
export function tlsId(text: string): TlsId {
  const id = parseTlsId(text);
  if (id === undefined) throw new SyntaxError("expected a DNS name or a SPIFFE id");
  return id;
}

/** A set of addresses by their networks. */
export class NetworkSet {
  readonly networks: readonly IpNetwork[];

  constructor(networks: readonly IpNetwork[]) {
    this.networks = networks;
  }

  /** @param ip - A literal; anything else is in no network. */
  has(ip: string): boolean {
    if (this.networks.length === 0) return false;
    const address = parseIp(ip);
    return address !== undefined && this.networks.some((network) => network.contains(address));
  }
}

/** CIDRs with commas between. */
export function networks(text: string): NetworkSet {
  return new NetworkSet(parseNetworks(text));
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

export function oneOf<T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    if ((values as readonly string[]).includes(text)) return text as T;
    throw new SyntaxError(`expected one of ${values.join(", ")}`);
  };
}

export function string(text: string): string {
  return text;
}
