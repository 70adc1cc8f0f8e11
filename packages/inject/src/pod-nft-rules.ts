import { type Family, type PodRules, ruleComment, subnetsOf } from "./pod-rules.ts";
import type { PortRange } from "./port-list.ts";

/** Our table of each family: all that we add, and all that we take away. */
export const POD_NFT_TABLE = "proxy_init";

/** Of a NAT table's hooks; what iptables' own `nat` has, too. */
const PRIORITY = -100;

/**
 * The rules of `podRuleCommands` in nftables' own words: a script for `nft -f -` that puts all of one
 * family in place at once, and replaces what is there of ours.
 */
export function podNftRules(rules: PodRules, family: Family): string {
  const { inboundPort, outboundPort, redirectPorts, proxyUid, proxyGid } = rules;
  const table = `${family === 4 ? "ip" : "ip6"} ${POD_NFT_TABLE}`;
  const address = family === 4 ? "ip" : "ip6";
  const inbound = [
    ...ignoredPorts(rules.skipInbound),
    ...subnetsOf(rules.skipSubnets, family).map((subnet) =>
      rule(`${address} saddr ${subnet} return`, `ignore-subnet-${subnet}`),
    ),
    ...(redirectPorts.length === 0
      ? [
          rule(
            `meta l4proto tcp redirect to :${inboundPort}`,
            "redirect-all-incoming-to-proxy-port",
          ),
        ]
      : redirectPorts.map((port) =>
          rule(
            `tcp dport ${port} redirect to :${inboundPort}`,
            `redirect-port-${port}-to-proxy-port`,
          ),
        )),
  ];
  const outbound = [
    ...(proxyUid > 0 ? [rule(`meta skuid ${proxyUid} return`, "ignore-proxy-user-id")] : []),
    ...(proxyGid > 0 ? [rule(`meta skgid ${proxyGid} return`, "ignore-proxy-group-id")] : []),
    rule('oifname "lo" return', "ignore-loopback"),
    ...ignoredPorts(rules.skipOutbound),
    rule(`meta l4proto tcp redirect to :${outboundPort}`, "redirect-all-outgoing-to-proxy-port"),
  ];
  // The first two lines make the third safe whether or not the table exists.
  return `table ${table}
delete table ${table}
table ${table} {
  chain inbound {
    type nat hook prerouting priority ${PRIORITY}; policy accept;
${inbound.join("")}  }
  chain outbound {
    type nat hook output priority ${PRIORITY}; policy accept;
${outbound.join("")}  }
}
`;
}

/** The script that takes one family's rules away; nothing happens if there are none. */
export function podNftRemoval(family: Family): string {
  const table = `${family === 4 ? "ip" : "ip6"} ${POD_NFT_TABLE}`;
  return `table ${table}\ndelete table ${table}\n`;
}

function rule(text: string, name: string): string {
  return `    ${text} comment "${ruleComment(name)}"\n`;
}

function ignoredPorts(ranges: readonly PortRange[]): string[] {
  if (ranges.length === 0) return [];
  const list = merged(ranges).map(({ first, last }) =>
    first === last ? String(first) : `${first}-${last}`,
  );
  return [rule(`tcp dport { ${list.join(", ")} } return`, "ignore-ports")];
}

/** A set of nftables takes no range twice, and none that overlaps another. */
function merged(ranges: readonly PortRange[]): PortRange[] {
  const result: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && range.first <= before.last + 1) {
      const last = Math.max(before.last, range.last);
      result[result.length - 1] = { first: before.first, last };
    } else {
      result.push(range);
    }
  }
  return result;
}
