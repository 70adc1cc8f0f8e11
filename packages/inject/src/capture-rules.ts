import { INBOUND_PORT, OUTBOUND_PORT } from "./proxy-env.ts";

/** What traffic of a machine goes through its proxy. */
export interface CaptureSettings {
  /** Ports whose inbound connections go to the proxy. No other port is touched: not ssh. */
  readonly inboundPorts: readonly number[];
  /** Outbound connections to these ports pass by. */
  readonly skipOutboundPorts: readonly number[];
  /** Outbound connections to these addresses pass by: the control plane, which the agent calls. */
  readonly skipOutboundAddresses: readonly { readonly ip: string; readonly port: number }[];
  /** Connections of this user are the proxy's own and pass by; undefined: see `proxyGid`. */
  readonly proxyUid?: number;
  readonly proxyGid?: number;
}

/** Our table, in nftables' words `inet heddle`: all that we add, and all that we take away. */
export const NFT_TABLE = "heddle";

/** iptables has no tables of one's own: two chains of the table `nat`. */
export const IPTABLES_INBOUND = "HEDDLE_INBOUND";
export const IPTABLES_OUTBOUND = "HEDDLE_OUTBOUND";

/**
 * A script for `nft -f -` that puts all rules in place at once, and replaces what is there of ours.
 * The first two lines make the third safe whether or not the table exists.
 */
export function nftRules(settings: CaptureSettings): string {
  const { inboundPorts, skipOutboundPorts, skipOutboundAddresses, proxyUid, proxyGid } = settings;
  const inbound =
    inboundPorts.length === 0
      ? ""
      : `    fib daddr type local tcp dport { ${inboundPorts.join(", ")} } redirect to :${INBOUND_PORT}\n`;
  const skips = [
    ...(proxyUid === undefined ? [] : [`meta skuid ${proxyUid} return`]),
    ...(proxyGid === undefined ? [] : [`meta skgid ${proxyGid} return`]),
    "oifname lo return",
    ...(skipOutboundPorts.length === 0
      ? []
      : [`tcp dport { ${skipOutboundPorts.join(", ")} } return`]),
    ...skipOutboundAddresses.map(
      ({ ip, port }) => `${ip.includes(":") ? "ip6" : "ip"} daddr ${ip} tcp dport ${port} return`,
    ),
  ];
  return `table inet ${NFT_TABLE}
delete table inet ${NFT_TABLE}
table inet ${NFT_TABLE} {
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
${inbound}  }
  chain outbound {
    type nat hook output priority -100; policy accept;
${skips.map((rule) => `    ${rule}\n`).join("")}    meta l4proto tcp redirect to :${OUTBOUND_PORT}
  }
}
`;
}

/** The script that takes the rules away; nothing happens if there are none. */
export function nftRemoval(): string {
  return `table inet ${NFT_TABLE}\ndelete table inet ${NFT_TABLE}\n`;
}

/** Arguments of one iptables or ip6tables call each, in order. */
export function iptablesRules(settings: CaptureSettings, family: 4 | 6): string[][] {
  const { inboundPorts, skipOutboundPorts, skipOutboundAddresses, proxyUid, proxyGid } = settings;
  const nat = ["-t", "nat"];
  const skip = (...match: string[]): string[] => [
    ...nat,
    "-A",
    IPTABLES_OUTBOUND,
    ...match,
    "-j",
    "RETURN",
  ];
  const addresses = skipOutboundAddresses.filter(({ ip }) => ip.includes(":") === (family === 6));
  return [
    [...nat, "-N", IPTABLES_INBOUND],
    ...inboundPorts.map((port) => [
      ...nat,
      "-A",
      IPTABLES_INBOUND,
      ...["-p", "tcp", "--dport", String(port), "-j", "REDIRECT", "--to-port", `${INBOUND_PORT}`],
    ]),
    [...nat, "-N", IPTABLES_OUTBOUND],
    ...(proxyUid === undefined ? [] : [skip("-m", "owner", "--uid-owner", String(proxyUid))]),
    ...(proxyGid === undefined ? [] : [skip("-m", "owner", "--gid-owner", String(proxyGid))]),
    skip("-o", "lo"),
    ...skipOutboundPorts.map((port) => skip("-p", "tcp", "--dport", String(port))),
    ...addresses.map(({ ip, port }) => skip("-p", "tcp", "-d", ip, "--dport", String(port))),
    [
      ...nat,
      ...["-A", IPTABLES_OUTBOUND, "-p", "tcp", "-j", "REDIRECT", "--to-port", `${OUTBOUND_PORT}`],
    ],
    [...nat, "-A", "PREROUTING", "-m", "addrtype", "--dst-type", "LOCAL", "-j", IPTABLES_INBOUND],
    [...nat, "-A", "OUTPUT", "-j", IPTABLES_OUTBOUND],
  ];
}

/** Arguments that undo `iptablesRules`; a call that finds nothing to undo may fail. */
export function iptablesRemoval(): string[][] {
  const nat = ["-t", "nat"];
  return [
    [...nat, "-D", "PREROUTING", "-m", "addrtype", "--dst-type", "LOCAL", "-j", IPTABLES_INBOUND],
    [...nat, "-D", "OUTPUT", "-j", IPTABLES_OUTBOUND],
    ...[IPTABLES_INBOUND, IPTABLES_OUTBOUND].flatMap((chain) => [
      [...nat, "-F", chain],
      [...nat, "-X", chain],
    ]),
  ];
}
