import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import { PODS } from "@heddle/kube/types/core";
import { parseGoDuration } from "@heddle/model/go-duration";
import { CLUSTER_OPTIONS, clusterClient, controlNamespace } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { goArgs } from "../go-flags.ts";
import { containersWithSuffix, fetchMetrics } from "./pod-metrics.ts";

const ADMIN_SUFFIX = "-admin";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  wait: { type: "string", short: "w", default: "30s" },
} as const;

export const controllerMetrics: Command = {
  name: "diagnostics controller-metrics",
  summary: "Print the metrics of the control plane's containers, proxies included",
  usage:
    "diagnostics controller-metrics [-w|--wait DURATION] [--kubeconfig FILE] [--context NAME] [-L|--linkerd-namespace NS]",

  async run(args, context) {
    const { values: flags } = parseArgs({
      args: goArgs(args, OPTIONS),
      allowNegative: true,
      options: OPTIONS,
    });
    const waitMs = duration(flags.wait);
    const namespace = controlNamespace(flags, context);
    using client = clusterClient(flags, context);
    const { items } = await client.list(PODS, { namespace });
    if (items.length === 0) {
      const message = `Cannot find the control plane: there are no pods in namespace ${namespace}`;
      throw new MeshError("no_pods", "client", message);
    }
    const running = items.filter(({ status }) => status?.phase === "Running");
    const targets = running.flatMap((pod) => containersWithSuffix(pod, ADMIN_SUFFIX));
    const found = await fetchMetrics(client, targets, waitMs, context.stop);
    for (const [index, { pod, container, metrics, problem }] of found.entries()) {
      const head = `#\n# POD ${pod} (${index + 1} of ${found.length})\n# CONTAINER ${container} \n#`;
      context.out(`${head}\n${metrics === undefined ? `# ERROR ${problem}` : metrics.trimEnd()}`);
    }
    return 0;
  },
};

function duration(text: string): number {
  try {
    const ms = parseGoDuration(text);
    if (ms > 0) return ms;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UsageError(`--wait: ${error.message}`);
  }
  throw new UsageError(`--wait: "${text}" is no time to wait`);
}
