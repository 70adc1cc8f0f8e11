import { uninject as takeOut } from "@heddle/inject/uninject";
import { CLUSTER_OPTIONS } from "../cluster.ts";
import type { Command } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import { manifestTarget, transformManifests } from "../manifests.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  output: { type: "string", short: "o", default: "yaml" },
} as const;

export const uninject: Command = {
  name: "uninject",
  summary: "Take the sidecar out of manifests",
  usage: "uninject [-o yaml|json] FILE|FOLDER|HTTPS-URL|-",

  async run(args, context) {
    const { values, positionals } = parseCommandLine(args, OPTIONS);
    return transformManifests(
      {
        ...manifestTarget(positionals, values.output),
        transform: (given) => {
          const { document, isChanged } = takeOut(given);
          return { document, verdict: isChanged ? "uninjected" : "skipped" };
        },
      },
      context,
    );
  },
};
