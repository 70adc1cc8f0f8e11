import type { Command } from "../command.ts";
import { type GoFlags, parseGoFlags } from "../pflags.ts";
import { goLog } from "../process-log.ts";

/** Those of `linkerd2-proxy-init`. */
const FLAGS = {
  "incoming-proxy-port": { type: "int", default: -1, short: "p" },
  "outgoing-proxy-port": { type: "int", default: -1, short: "o" },
  "proxy-uid": { type: "int", default: -1, short: "u" },
  "proxy-gid": { type: "int", default: -1, short: "g" },
  "ports-to-redirect": { type: "ints", short: "r" },
  "inbound-ports-to-ignore": { type: "strings" },
  "outbound-ports-to-ignore": { type: "strings" },
  "subnets-to-ignore": { type: "strings" },
  simulate: { type: "bool", default: false },
  netns: { type: "string", default: "" },
  "use-wait-flag": { type: "bool", default: false, short: "w" },
  "timeout-close-wait-secs": { type: "int", default: 0 },
  "log-format": { type: "string", default: "plain" },
  "log-level": { type: "string", default: "info" },
  "iptables-mode": { type: "string", default: "" },
  ipv6: { type: "bool", default: true },
  "firewall-bin-path": { type: "string", default: "" },
  "firewall-save-bin-path": { type: "string", default: "" },
} as const satisfies GoFlags;

export const init: Command = {
  name: "init",
  summary: "Send a pod's traffic through its proxy (an init container)",
  usage:
    "init -p|--incoming-proxy-port PORT -o|--outgoing-proxy-port PORT [-u|--proxy-uid UID] [-g|--proxy-gid GID] [-r|--ports-to-redirect PORT,…] [--inbound-ports-to-ignore PORT|FIRST-LAST,…] [--outbound-ports-to-ignore PORT|FIRST-LAST,…] [--subnets-to-ignore CIDR,…] [--iptables-mode legacy|nft|plain|nftables] [--firewall-bin-path PROGRAM --firewall-save-bin-path PROGRAM] [--ipv6=false] [--netns FILE] [-w|--use-wait-flag] [--timeout-close-wait-secs N] [--simulate] [--log-format plain|json] [--log-level LEVEL]",

  async run(args, context) {
    const flags = parseGoFlags(args, FLAGS);
    const log = goLog(context, flags["log-level"], flags["log-format"], "proxy-init");
    const { configurePod } = await import("@heddle/init/configure");
    const { parseIptablesMode } = await import("@heddle/init/options");
    const options = {
      incomingProxyPort: flags["incoming-proxy-port"],
      outgoingProxyPort: flags["outgoing-proxy-port"],
      proxyUid: flags["proxy-uid"],
      proxyGid: flags["proxy-gid"],
      portsToRedirect: flags["ports-to-redirect"],
      inboundPortsToIgnore: flags["inbound-ports-to-ignore"],
      outboundPortsToIgnore: flags["outbound-ports-to-ignore"],
      subnetsToIgnore: flags["subnets-to-ignore"],
      simulate: flags.simulate,
      netns: flags.netns,
      useWaitFlag: flags["use-wait-flag"],
      timeoutCloseWaitSecs: flags["timeout-close-wait-secs"],
      firewallBinPath: flags["firewall-bin-path"],
      firewallSaveBinPath: flags["firewall-save-bin-path"],
      iptablesMode: parseIptablesMode(flags["iptables-mode"]),
      ipv6: flags.ipv6,
    };
    await configurePod(options, { log, signal: context.stop });
    return 0;
  },
};
