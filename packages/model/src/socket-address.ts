import { formatIp, type IpAddress, parseIp } from "@heddle/model/network";

export interface SocketAddress {
  readonly ip: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

/** Takes `10.0.0.1:80` and `[2001:db8::1]:80`, as the proxy API writes them; nothing else. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return undefined;
  const port = parsePort(text.slice(colon + 1));
  let host = text.slice(0, colon);
  const bracketed = host.startsWith("[") && host.endsWith("]");
  if (bracketed) host = host.slice(1, -1);
  if (host.includes(":") !== bracketed) return undefined;
  const ip = parseIp(host);
  return ip === undefined || port === undefined ? undefined : { ip, port };
}

export function formatSocketAddress(address: SocketAddress): string {
  const host = formatIp(address.ip);
  return address.ip.version === 6 ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

/** 0 to 65535 in decimal digits, at most five of them. */
export function parsePort(text: string): number | undefined {
  if (!/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65535 ? port : undefined;
}

/**
 * Splits `host[:port]`. The host keeps its brackets and its case. Undefined if a port is written
 * that is none.
 */
export function splitAuthority(
  authority: string,
): { readonly host: string; readonly port: number | undefined } | undefined {
  const end = hostEnd(authority);
  if (end === authority.length) return { host: authority, port: undefined };
  const host = authority.slice(0, end);
  const text = authority.slice(end + 1);
  if (text === "") return { host, port: undefined };
  const port = parsePort(text);
  return port === undefined ? undefined : { host, port };
}

/** Where the host of an authority ends: at its port's colon, or at its end. Hot. */
export function hostEnd(authority: string): number {
  const colon = authority.lastIndexOf(":");
  if (colon < 0) return authority.length;
  // `[::1]` ends with its bracket; a bare `::1` is no authority, and is taken whole.
  if (authority.charCodeAt(authority.length - 1) === 0x5d) return authority.length;
  if (authority.charCodeAt(0) !== 0x5b && authority.indexOf(":") !== colon) return authority.length;
  return colon;
}
