import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { Backoff } from "@heddle/base/backoff";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { SocketAddress } from "./transport.ts";

/** What of `node:dns/promises` is used; tests pass their own. */
export interface DnsClient {
  resolveSrv(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
  resolve4(name: string): Promise<readonly { readonly address: string; readonly ttl: number }[]>;
  resolve6(name: string): Promise<readonly { readonly address: string; readonly ttl: number }[]>;
  /** The system's own way, which also knows /etc/hosts. */
  lookup(name: string): Promise<readonly { readonly address: string }[]>;
}

export interface Resolution {
  readonly addresses: readonly SocketAddress[];
  /** How long they hold. */
  readonly ttlMs: number;
}

/** Refreshes are never closer together. */
const MIN_TTL_MS = 5_000;
/** Node's SRV answers come without a TTL; linkerd's control plane has 30 s, Kubernetes 5 to 30. */
const SRV_TTL_MS = 5_000;
const FOREVER_MS: number = Number.POSITIVE_INFINITY;

/** DNS by the system's configuration. Its queries are ended by `close`. */
export class SystemDns implements DnsClient {
  readonly #resolver = new Resolver();

  resolveSrv(name: string): Promise<readonly { name: string; port: number }[]> {
    return this.#resolver.resolveSrv(name);
  }

  resolve4(name: string): Promise<readonly { address: string; ttl: number }[]> {
    return this.#resolver.resolve4(name, { ttl: true });
  }

  resolve6(name: string): Promise<readonly { address: string; ttl: number }[]> {
    return this.#resolver.resolve6(name, { ttl: true });
  }

  lookup(name: string): Promise<readonly { address: string }[]> {
    return lookup(name, { all: true });
  }

  close(): void {
    this.#resolver.cancel();
  }
}

/**
 * The addresses of a control-plane service: a literal as it is, `localhost.` without DNS, else SRV
 * of the name, whose targets begin with a dashed IP, and if that fails A and AAAA with `port`.
 *
 * @throws MeshError `resolve_failed`.
 */
export async function resolveName(host: string, port: number, dns: DnsClient): Promise<Resolution> {
  const literal = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (isIP(literal) !== 0) return { addresses: [{ ip: literal, port }], ttlMs: FOREVER_MS };
  if (host === "localhost." || host === "localhost") {
    return { addresses: [{ ip: "127.0.0.1", port }], ttlMs: FOREVER_MS };
  }
  const name = host.replace(/\.$/, "");
  const bySrv = await resolveSrv(name, dns);
  if (bySrv !== undefined) return { addresses: bySrv, ttlMs: SRV_TTL_MS };
  return await resolveHost(name, port, dns);
}

/** Undefined on any failure, also if a target is not of the dashed form. */
async function resolveSrv(name: string, dns: DnsClient): Promise<SocketAddress[] | undefined> {
  try {
    const records = await dns.resolveSrv(name);
    const addresses: SocketAddress[] = [];
    for (const record of records) {
      const ip = dashedIp(record.name);
      if (ip === undefined) return undefined;
      addresses.push({ ip, port: record.port });
    }
    return addresses.length > 0 ? addresses : undefined;
  } catch {
    // Most names have no SRV record; A and AAAA then say what is wrong, if anything is.
    return undefined;
  }
}

/** `10-1-2-3.x.y` is 10.1.2.3; with the dashes of an IPv6 literal, that. */
function dashedIp(target: string): string | undefined {
  const label = target.split(".", 1)[0]!;
  const v4 = label.replaceAll("-", ".");
  if (isIP(v4) === 4) return v4;
  const v6 = label.replaceAll("-", ":");
  return isIP(v6) === 6 ? v6 : undefined;
}

async function resolveHost(name: string, port: number, dns: DnsClient): Promise<Resolution> {
  const [v4, v6] = await Promise.allSettled([dns.resolve4(name), dns.resolve6(name)]);
  const records = [v4, v6].flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  if (records.length === 0) return await resolveBySystem(name, port, dns);
  const addresses = records.map(({ address }) => ({ ip: address, port }));
  const ttlMs = Math.max(MIN_TTL_MS, Math.min(...records.map(({ ttl }) => ttl)) * 1_000);
  return { addresses, ttlMs };
}

async function resolveBySystem(name: string, port: number, dns: DnsClient): Promise<Resolution> {
  try {
    const found = await dns.lookup(name);
    return { addresses: found.map(({ address }) => ({ ip: address, port })), ttlMs: MIN_TTL_MS };
  } catch (cause) {
    const message = `Cannot resolve ${name}: ${messageOf(cause)}`;
    throw new MeshError("resolve_failed", "control", message, { cause, retryable: true });
  }
}

export interface WatchNameOptions {
  readonly host: string;
  readonly port: number;
  readonly dns: DnsClient;
  readonly signal: AbortSignal;
  readonly onAddresses: (addresses: readonly SocketAddress[]) => void;
  /** What is known stays known; the next attempt comes by itself. */
  readonly onError: (error: MeshError) => void;
}

/** Resolves a name again and again, at its TTL or with backoff, until the signal. */
export function watchName(options: WatchNameOptions): void {
  const { host, port, dns, signal, onAddresses, onError } = options;
  const backoff = new Backoff(MIN_TTL_MS, 60_000, 0.1);
  let timer: NodeJS.Timeout | undefined;
  let last = "";
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  void refresh();

  async function refresh(): Promise<void> {
    let delayMs: number;
    try {
      const { addresses, ttlMs } = await resolveName(host, port, dns);
      if (signal.aborted) return;
      backoff.reset();
      delayMs = ttlMs;
      const key = addresses
        .map(({ ip, port: at }) => `${ip} ${at}`)
        .sort()
        .join(",");
      if (key !== last) onAddresses(addresses);
      last = key;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof MeshError)) throw error;
      onError(error);
      delayMs = backoff.next();
    }
    if (delayMs !== FOREVER_MS) timer = setTimeout(() => void refresh(), delayMs);
  }
}
