import { readFileSync } from "node:fs";

/** A listening TCP socket, as the kernel lists it. */
export interface ListeningSocket {
  /** A literal; `0.0.0.0` and `::` for all addresses. */
  readonly ip: string;
  readonly port: number;
}

/** TCP_LISTEN in `/proc/net/tcp`. */
const LISTEN = "0A";

/** Every listening TCP socket of this network namespace. */
export function listeningSockets(
  read: (path: string) => string = (path) => readFileSync(path, "utf8"),
): ListeningSocket[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => {
    let table: string;
    try {
      table = read(path);
    } catch (error) {
      // A kernel without IPv6 has no tcp6.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
    return parseSocketTable(table);
  });
}

/** Reads the format of `/proc/net/tcp` and `tcp6` (proc(5)); only sockets that listen. */
export function parseSocketTable(table: string): ListeningSocket[] {
  const found: ListeningSocket[] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (local === undefined || state !== LISTEN) continue;
    const [address, port] = local.split(":") as [string, string];
    found.push({ ip: parseAddress(address), port: Number.parseInt(port, 16) });
  }
  return found;
}

/** The kernel prints addresses as 32-bit words in the machine's order, little-endian here. */
function parseAddress(hex: string): string {
  const bytes = Buffer.from(hex, "hex");
  for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse();
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"))) {
    return bytes.subarray(12).join(".");
  }
  if (bytes.every((byte) => byte === 0)) return "::";
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(i).toString(16));
  return groups.join(":");
}

/**
 * Sockets through which an application can be reached around its proxy: its ports, at an address
 * that others can reach. Loopback addresses are for this machine alone, but for the one at which a
 * mesh on one machine reaches us.
 */
export function bypasses(
  sockets: readonly ListeningSocket[],
  ports: readonly number[],
  addresses: { readonly appIp: string; readonly meshIp: string },
): ListeningSocket[] {
  const { appIp, meshIp } = addresses;
  const isPrivate = (ip: string): boolean =>
    ip === appIp || (ip !== meshIp && (ip.startsWith("127.") || ip === "0:0:0:0:0:0:0:1"));
  return sockets.filter(({ ip, port }) => ports.includes(port) && !isPrivate(ip));
}
