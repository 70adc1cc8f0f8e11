import type { PortRange } from "./port-list.ts";

/** 4 for iptables, 6 for ip6tables: each family has rules of its own. */
export type Family = 4 | 6;

/** What traffic of a pod goes through its proxy: the rules of Linkerd's proxy-init. */
export interface PodRules {
  readonly inboundPort: number;
  readonly outboundPort: number;
  /** Connections of this user are the proxy's own. Only one above 0 can be told apart. */
  readonly proxyUid: number;
  readonly proxyGid: number;
  /** Inbound ports that go to the proxy; empty: all of them. */
  readonly redirectPorts: readonly number[];
  readonly skipInbound: readonly PortRange[];
  readonly skipOutbound: readonly PortRange[];
  /** Networks in CIDR form whose connections to us pass by. What we send there does not. */
  readonly skipSubnets: readonly string[];
}

export const REDIRECT_CHAIN = "PROXY_INIT_REDIRECT";
export const OUTPUT_CHAIN = "PROXY_INIT_OUTPUT";

/** A rule of the match `multiport` holds this many ports; a range counts twice. */
const MULTIPORT_SLOTS = 15;
const NAT = ["-t", "nat"] as const;

/**
 * Arguments of one iptables or ip6tables call each, in Linkerd's order.
 *
 * @param existing - What `iptables-save -t nat` prints now: chains that are there are emptied and
 *   used again, and jumps that are there are not added twice.
 */
export function podRuleCommands(rules: PodRules, family: Family, existing: string): string[][] {
  return [...inboundCommands(rules, family, existing), ...outboundCommands(rules, existing)];
}

/** Arguments that undo `podRuleCommands`; a call that finds nothing to undo may fail. */
export function podRuleRemoval(): string[][] {
  return [
    jump("-D", "PREROUTING", REDIRECT_CHAIN, "install-proxy-init-prerouting"),
    jump("-D", "OUTPUT", OUTPUT_CHAIN, "install-proxy-init-output"),
    [...NAT, "-F", OUTPUT_CHAIN],
    [...NAT, "-F", REDIRECT_CHAIN],
    [...NAT, "-X", OUTPUT_CHAIN],
    [...NAT, "-X", REDIRECT_CHAIN],
  ];
}

/** The networks of one family: iptables refuses those of the other. */
export function subnetsOf(subnets: readonly string[], family: Family): readonly string[] {
  return subnets.filter((subnet) => subnet.includes(":") === (family === 6));
}

/** A comment as every rule carries one. */
export function ruleComment(name: string): string {
  return `proxy-init/${name}`;
}

function inboundCommands(rules: PodRules, family: Family, existing: string): string[][] {
  const { inboundPort, redirectPorts } = rules;
  const redirect = (match: readonly string[], name: string): string[] => [
    ...append(REDIRECT_CHAIN, "-p", "tcp", ...match),
    ...["-j", "REDIRECT", "--to-port", String(inboundPort)],
    ...comment(name),
  ];
  const hasJump = /^-A PREROUTING (?:.+ )?-j PROXY_INIT_REDIRECT/m.test(existing);
  return [
    freshChain(REDIRECT_CHAIN, existing),
    ...ignoredPorts(REDIRECT_CHAIN, rules.skipInbound),
    ...subnetsOf(rules.skipSubnets, family).map((subnet) => [
      ...append(REDIRECT_CHAIN, "-p", "all", "-j", "RETURN", "-s", subnet),
      ...comment(`ignore-subnet-${subnet}`),
    ]),
    ...(redirectPorts.length === 0
      ? [redirect([], "redirect-all-incoming-to-proxy-port")]
      : redirectPorts.map((port) =>
          redirect(["--destination-port", String(port)], `redirect-port-${port}-to-proxy-port`),
        )),
    ...(hasJump ? [] : [jump("-A", "PREROUTING", REDIRECT_CHAIN, "install-proxy-init-prerouting")]),
  ];
}

function outboundCommands(rules: PodRules, existing: string): string[][] {
  const { proxyUid, proxyGid, skipOutbound, outboundPort } = rules;
  const owner = (flag: string, id: number, name: string): string[][] =>
    id > 0
      ? [
          [
            ...append(OUTPUT_CHAIN, "-m", "owner", flag, String(id), "-j", "RETURN"),
            ...comment(name),
          ],
        ]
      : [];
  const hasJump = /^-A OUTPUT (?:.+ )?-j PROXY_INIT_OUTPUT/m.test(existing);
  return [
    freshChain(OUTPUT_CHAIN, existing),
    ...owner("--uid-owner", proxyUid, "ignore-proxy-user-id"),
    ...owner("--gid-owner", proxyGid, "ignore-proxy-group-id"),
    [...append(OUTPUT_CHAIN, "-o", "lo", "-j", "RETURN"), ...comment("ignore-loopback")],
    ...ignoredPorts(OUTPUT_CHAIN, skipOutbound),
    [
      ...append(OUTPUT_CHAIN, "-p", "tcp", "-j", "REDIRECT", "--to-port", String(outboundPort)),
      ...comment("redirect-all-outgoing-to-proxy-port"),
    ],
    ...(hasJump ? [] : [jump("-A", "OUTPUT", OUTPUT_CHAIN, "install-proxy-init-output")]),
  ];
}

function freshChain(chain: string, existing: string): string[] {
  const isThere = existing.split("\n").some((line) => line.startsWith(`:${chain} `));
  return [...NAT, isThere ? "-F" : "-N", chain];
}

function ignoredPorts(chain: string, ranges: readonly PortRange[]): string[][] {
  return multiports(ranges).map((ports) => [
    ...append(chain, "-p", "tcp", "--match", "multiport", "--dports", ports, "-j", "RETURN"),
    ...comment(`ignore-port-${ports}`),
  ]);
}

/** As many lists as the ranges need, each no longer than one rule holds. */
function multiports(ranges: readonly PortRange[]): string[] {
  const groups: string[][] = [];
  let free = 0;
  for (const { first, last } of ranges) {
    const slots = first === last ? 1 : 2;
    if (slots > free) {
      groups.push([]);
      free = MULTIPORT_SLOTS;
    }
    groups.at(-1)!.push(first === last ? String(first) : `${first}:${last}`);
    free -= slots;
  }
  return groups.map((group) => group.join(","));
}

function append(chain: string, ...rule: readonly string[]): string[] {
  return [...NAT, "-A", chain, ...rule];
}

function comment(name: string): string[] {
  return ["-m", "comment", "--comment", ruleComment(name)];
}

function jump(action: "-A" | "-D", from: string, to: string, name: string): string[] {
  return [...NAT, action, from, "-j", to, ...comment(name)];
}
