import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import type { PodRules } from "@heddle/inject/pod-rules";
import { type PortRange, parsePortRange } from "@heddle/inject/port-list";
import { parseNetwork } from "@heddle/model/network";

/**
 * Which programs write the rules. `legacy`, `nft` and `plain` are `iptables-legacy`, `iptables-nft`
 * and `iptables`; `nftables` is `nft` itself.
 */
export type IptablesMode = "legacy" | "nft" | "plain" | "nftables";

/** What `proxy-init` is told by its flags, and the CNI plugin by its configuration. */
export interface InitOptions {
  readonly incomingProxyPort: number;
  readonly outgoingProxyPort: number;
  readonly proxyUid: number;
  readonly proxyGid: number;
  readonly portsToRedirect: readonly number[];
  /** Ports and ranges; what is neither is logged and left out. */
  readonly inboundPortsToIgnore: readonly string[];
  readonly outboundPortsToIgnore: readonly string[];
  readonly subnetsToIgnore: readonly string[];
  /** Say what would be done, and do nothing. */
  readonly simulate: boolean;
  /** A file that is a network namespace; empty: our own. */
  readonly netns: string;
  /** Have iptables wait for its lock. */
  readonly useWaitFlag: boolean;
  /** 0: leave the kernel's own. */
  readonly timeoutCloseWaitSecs: number;
  readonly firewallBinPath: string;
  readonly firewallSaveBinPath: string;
  /** Goes before the two paths; empty: they decide. */
  readonly iptablesMode: "" | IptablesMode;
  readonly ipv6: boolean;
}

export const INIT_DEFAULTS: InitOptions = {
  incomingProxyPort: -1,
  outgoingProxyPort: -1,
  proxyUid: -1,
  proxyGid: -1,
  portsToRedirect: [],
  inboundPortsToIgnore: [],
  outboundPortsToIgnore: [],
  subnetsToIgnore: [],
  simulate: false,
  netns: "",
  useWaitFlag: false,
  timeoutCloseWaitSecs: 0,
  firewallBinPath: "",
  firewallSaveBinPath: "",
  iptablesMode: "",
  ipv6: true,
};

const MODES: readonly string[] = ["legacy", "nft", "plain", "nftables"];

/** Takes the value of `--iptables-mode`. @throws MeshError `bad_option`. */
export function parseIptablesMode(text: string): InitOptions["iptablesMode"] {
  if (text === "" || MODES.includes(text)) return text as InitOptions["iptablesMode"];
  throw bad(`--iptables-mode "${text}": it must be one of ${MODES.join(", ")}`);
}

/**
 * What the options ask for.
 *
 * @throws MeshError `bad_option` for a port that is none and for a subnet that is none.
 */
export function rulesOf(options: InitOptions, log: Log): PodRules {
  return {
    inboundPort: proxyPort(options.incomingProxyPort, "--incoming-proxy-port"),
    outboundPort: proxyPort(options.outgoingProxyPort, "--outgoing-proxy-port"),
    proxyUid: options.proxyUid,
    proxyGid: options.proxyGid,
    redirectPorts: options.portsToRedirect.map((port) => tcpPort(port, "--ports-to-redirect")),
    skipInbound: portRanges(options.inboundPortsToIgnore, log),
    skipOutbound: portRanges(options.outboundPortsToIgnore, log),
    skipSubnets: options.subnetsToIgnore.map((subnet) => cidr(subnet.trim())),
  };
}

function proxyPort(port: number, flag: string): number {
  if (port === -1) throw bad(`${flag}: it is missing; the injector passes 4143 and 4140`);
  return tcpPort(port, flag);
}

function tcpPort(port: number, flag: string): number {
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw bad(`${flag} ${port}: it must be a valid TCP port number`);
}

function portRanges(texts: readonly string[], log: Log): PortRange[] {
  return texts.flatMap((text) => {
    try {
      return [parsePortRange(text)];
    } catch (error) {
      // As Linkerd does it: a pod starts with the ports that are understood.
      log.error(`invalid port configuration of "${text}"`, { error: messageOf(error) });
      return [];
    }
  });
}

function cidr(text: string): string {
  const hint = `--subnets-to-ignore "${text}": it is not a valid CIDR address such as 10.0.0.0/8`;
  if (!text.includes("/")) throw bad(hint);
  try {
    parseNetwork(text);
  } catch (cause) {
    throw bad(hint, cause);
  }
  return text;
}

function bad(state: string, cause?: unknown): MeshError {
  return new MeshError("bad_option", "client", `Cannot use ${state}`, { cause });
}
