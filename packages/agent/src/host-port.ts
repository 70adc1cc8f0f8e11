import { isIP } from "node:net";

/** @throws SyntaxError unless the text is `ip:port` or `[ip6]:port`. */
export function parseHostPort(text: string): { readonly ip: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const ip = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(ip) === 0 || port < 1 || port > 65_535) {
    throw new SyntaxError(`"${text}" is not ip:port or [ip6]:port`);
  }
  return { ip, port };
}
