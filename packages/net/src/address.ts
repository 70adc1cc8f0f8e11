import { isIP } from "node:net";
import type { SocketAddress } from "./transport.ts";

/** The other end of a unix socket, which has no address. */
export const UNIX_ADDRESS: SocketAddress = { ip: "", port: 0 };

/** `1.2.3.4:80` or `[::1]:80`. */
export function formatAddress(address: SocketAddress): string {
  const { ip, port } = address;
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** @throws SyntaxError on anything but an IP literal with a port. */
export function parseAddress(text: string): SocketAddress {
  const at = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(0, at));
  const isBracketed = host.startsWith("[") && host.endsWith("]");
  const ip = isBracketed ? host.slice(1, -1) : host;
  const port = /^\d{1,5}$/.test(text.slice(at + 1)) ? Number(text.slice(at + 1)) : 65_536;
  if (isIP(ip) !== (isBracketed ? 6 : 4) || port > 65_535) {
    throw new SyntaxError(`"${text}" is not an address of the form IP:PORT`);
  }
  return { ip: unmapIp(ip), port };
}

/** An IPv4-mapped IPv6 literal as plain IPv4; everything else as it is. */
export function unmapIp(ip: string): string {
  return ip.startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}

/** 4 or 16 bytes in network order as a literal: IPv6 as in RFC 5952, IPv4-mapped as IPv4. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0);
  if (isMapped && bytes[10] === 0xff && bytes[11] === 0xff) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((bytes[at]! << 8) | bytes[at + 1]!);
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** A literal as 4 or 16 bytes in network order. @throws SyntaxError if it is none. */
export function ipBytes(ip: string): Uint8Array {
  const kind = isIP(ip);
  if (kind === 4) return Uint8Array.from(ip.split("."), Number);
  if (kind === 0 || ip.includes("%")) throw new SyntaxError(`"${ip}" is not an IP address`);
  const [head, tail] = ip.split("::");
  const before = ipv6Groups(head!);
  const after = tail === undefined ? [] : ipv6Groups(tail);
  const gap = new Array<number>(8 - before.length - after.length).fill(0);
  const bytes = new Uint8Array(16);
  for (const [index, group] of [...before, ...gap, ...after].entries()) {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 0xff;
  }
  return bytes;
}

export function isLoopback(ip: string): boolean {
  return ip === "::1" || ip.startsWith("127.");
}

export function sameAddress(a: SocketAddress, b: SocketAddress): boolean {
  return a.port === b.port && a.ip === b.ip;
}

function ipv6Groups(text: string): number[] {
  if (text === "") return [];
  const groups: number[] = [];
  for (const part of text.split(":")) {
    if (part.includes(".")) {
      const [a, b, c, d] = part.split(".").map(Number);
      groups.push((a! << 8) | b!, (c! << 8) | d!);
    } else {
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** The first of the longest runs of zero groups. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
    start += length;
  }
  return best;
}
