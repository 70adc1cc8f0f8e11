/** What each image holds, and as whom it runs. */

import { CONTROL_FLAGS } from "@heddle/cli/self";

/** A program in the image that stands for a command of ours. */
export interface Alias {
  readonly path: string;
  /** With its first arguments, if any. */
  readonly command: string;
  /** Keeps NET_ADMIN and NET_RAW for it and what it runs, where its container has them. */
  readonly isNetAdmin?: boolean;
}

export interface Recipe {
  readonly name: string;
  /** Of the CLI; empty: none of our code is in it. */
  readonly commands: readonly string[];
  readonly packages: readonly string[];
  /** Of the packages, each with the libraries that it is linked with. */
  readonly files: readonly (string | RegExp)[];
  /** Of our own making: path to target. */
  readonly links: Readonly<Record<string, string>>;
  readonly aliases: readonly Alias[];
  /** Whether it holds what its installer copies to nodes, Node included. */
  readonly hasPlugin?: boolean;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

/** How an image starts what is ours. */
export const NODE_COMMAND: readonly string[] = [
  "/usr/bin/node",
  "--disable-warning=ExperimentalWarning",
];
const SCRIPT = "/usr/lib/heddle/heddle.mjs";
const HEDDLE = [...NODE_COMMAND, SCRIPT];

export const RECIPES: readonly Recipe[] = [
  {
    // Linkerd's pods start the rules, the validator and the wait from their proxy's image, too.
    name: "proxy",
    commands: ["await", "init", "network-validator", "proxy", "version"],
    // `sleep` is for the hook that lets a proxy outlive its application.
    packages: ["coreutils", "iptables", "nftables"],
    files: [
      "usr/bin/sleep",
      "usr/sbin/nft",
      /^usr\/sbin\/ip6?tables-(?:legacy|nft)(?:-save|-restore)?$/,
      /^usr\/lib\/[^/]+\/xtables\/[^/]+\.so$/,
    ],
    links: Object.fromEntries(
      ["iptables", "iptables-save", "ip6tables", "ip6tables-save"].map((name) => [
        `usr/sbin/${name}`,
        name.replace("tables", "tables-nft"),
      ]),
    ),
    aliases: [
      { path: "usr/lib/linkerd/linkerd2-proxy-init", command: "init", isNetAdmin: true },
      { path: "usr/lib/linkerd/linkerd-await", command: "await" },
      { path: "usr/lib/linkerd/linkerd2-network-validator", command: "network-validator" },
    ],
    user: "2102:2102",
    entrypoint: HEDDLE,
    command: ["proxy"],
  },
  {
    name: "control",
    commands: ["control", "version"],
    packages: [],
    files: [],
    links: {},
    aliases: [],
    user: "2103:2103",
    entrypoint: [...NODE_COMMAND, ...CONTROL_FLAGS, SCRIPT],
    command: ["control"],
  },
  {
    // Root, since it writes to its node; the shell is for the chart's hook.
    name: "cni-plugin",
    commands: ["cni", "version"],
    packages: ["coreutils", "dash"],
    files: ["usr/bin/dash", "usr/bin/sleep"],
    links: { "usr/bin/sh": "dash" },
    aliases: [{ path: "usr/lib/linkerd/linkerd-cni-repair-controller", command: "cni repair" }],
    hasPlugin: true,
    user: "0:0",
    entrypoint: HEDDLE,
    command: ["cni", "install"],
  },
  {
    // For people who look into a pod's network; a shell, and nothing that runs by itself.
    name: "debug",
    commands: [],
    packages: ["busybox-static", "ca-certificates", "curl", "iproute2", "iptables", "tcpdump"],
    files: [
      "usr/bin/busybox",
      "usr/bin/curl",
      "usr/bin/tcpdump",
      /^usr\/bin\/(?:ip|ss)$/,
      /^usr\/sbin\/(?:xtables-nft-multi|ip6?tables-nft(?:-save)?)$/,
      /^usr\/lib\/[^/]+\/xtables\/[^/]+\.so$/,
    ],
    links: { "usr/bin/sh": "busybox" },
    aliases: [],
    user: "0:0",
    entrypoint: [],
    command: ["/bin/busybox", "sleep", "infinity"],
  },
];
