import { CLUSTER_OPTIONS, clusterClient } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import { podsOf } from "../pods-of.ts";
import { parseResource } from "../resource-name.ts";
import { obfuscateMetrics } from "./obfuscate.ts";
import { containerWithPort, fetchMetrics } from "./pod-metrics.ts";

const WAIT_MS = 30_000;
const ADMIN_PORT = "linkerd-admin";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  namespace: { type: "string", short: "n", default: "default" },
  obfuscate: { type: "boolean", default: false },
} as const;

export const proxyMetrics: Command = {
  name: "diagnostics proxy-metrics",
  summary: "Print the metrics of a resource's proxies",
  usage:
    "diagnostics proxy-metrics [-n|--namespace NS] [--obfuscate] [--kubeconfig FILE] [--context NAME] TYPE/NAME",

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const resource = parseResource(positionals);
    using client = clusterClient(flags, context);
    const pods = await podsOf(client, flags.namespace, resource);
    if (pods.length === 0) {
      throw new UsageError(`${positionals.join("/")} has no pods in namespace ${flags.namespace}`);
    }
    const targets = pods.map((pod) => containerWithPort(pod, ADMIN_PORT));
    const found = await fetchMetrics(client, targets, WAIT_MS, context.stop);
    for (const [index, { pod, metrics, problem }] of found.entries()) {
      const head = `#\n# POD ${pod} (${index + 1} of ${found.length})\n#`;
      const text = metrics === undefined ? `# ERROR ${problem}` : metrics.trimEnd();
      context.out(`${head}\n${flags.obfuscate ? obfuscateMetrics(text) : text}`);
    }
    return 0;
  },

  async complete(words, said, context) {
    const { resourceWords } = await import("../completion/from-cluster.ts");
    return resourceWords(words, said, context);
  },
};
