import { type Command, type CommandEntry, UsageError } from "../command.ts";

/** A second `ep` would be `profile`'s; it has always meant `endpoints`. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: "endpoints",
    alias: "ep",
    summary: "Show the endpoints that the destination controller knows of names",
    load: async () => (await import("../diagnostics/endpoints.ts")).endpoints,
  },
  {
    name: "profile",
    summary: "Show the profile that the destination controller sends for an address",
    load: async () => (await import("../diagnostics/profile.ts")).profile,
  },
  {
    name: "policy",
    summary: "Show the policy of a pod's port, or of traffic to a Service's port",
    load: async () => (await import("../diagnostics/policy.ts")).policy,
  },
  {
    name: "proxy-metrics",
    summary: "Print the metrics of a resource's proxies",
    load: async () => (await import("../diagnostics/proxy-metrics.ts")).proxyMetrics,
  },
  {
    name: "controller-metrics",
    alias: "cp-metrics",
    summary: "Print the metrics of the control plane's containers, proxies included",
    load: async () => (await import("../diagnostics/controller-metrics.ts")).controllerMetrics,
  },
];

const NAMES = COMMANDS.map(({ name }) => name);

export const diagnostics: Command = {
  name: "diagnostics",
  summary: "Look into the control plane and proxies: endpoints, policies, profiles, metrics",
  usage: `diagnostics ${NAMES.join("|")} [ARGS]; diagnostics COMMAND --help`,
  commands: COMMANDS,

  async run() {
    throw new UsageError(`name a command: ${NAMES.join(", ")}`);
  },

  async complete(words) {
    return words.length === 1 ? NAMES : [];
  },
};
