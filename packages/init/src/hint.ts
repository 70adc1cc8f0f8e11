/** What a firewall program says, and what to do about it. The first that fits counts. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /xtables\.lock|can't open lock file/i,
    "/run must be writable: mount an emptyDir there, as the injector does (proxyInit.xtMountPath)",
  ],
  [
    /holding the xtables lock|xtables lock/i,
    "another program is changing the rules; --use-wait-flag waits for it",
  ],
  [
    /is incompatible, use 'nft' tool|Parsing nftables rule failed/,
    "somebody else's rules are in the way, which iptables-nft cannot read; try --iptables-mode nftables (iptablesMode)",
  ],
  [
    /permission denied|operation not permitted|must be root/i,
    "the container needs the capabilities NET_ADMIN and NET_RAW (proxyInit.privileged or runAsRoot where the runtime asks for more)",
  ],
  [
    /table does not exist|can't initialize|modprobe|Could not process rule: No such file/i,
    "the node's kernel lacks this kind of firewall; try another --iptables-mode (proxyInit.iptablesMode), or load its modules",
  ],
  [
    /No chain\/target\/match by that name|Extension .* is not supported|Couldn't load (?:match|target)/i,
    "the node's kernel lacks a match or target that the rules need: xt_owner, xt_multiport, xt_comment, xt_REDIRECT",
  ],
  [/address family not supported/i, "the node has no IPv6; --ipv6=false (disableIPv6)"],
  [/No such file or directory|cannot open network namespace/i, "the network namespace is gone"],
  [/ENOENT|not found/i, "it is not installed; name another by --iptables-mode"],
];

/** Advice for what a program said; undefined if we have none. */
export function hintFor(output: string): string | undefined {
  return HINTS.find(([pattern]) => pattern.test(output))?.[1];
}
