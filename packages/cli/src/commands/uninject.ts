import { parseArgs } from "node:util";
import { uninject as takeOut } from "@heddle/inject/uninject";
import type { Command } from "../command.ts";
import { manifestTarget, transformManifests } from "../manifests.ts";

export const uninject: Command = {
  name: "uninject",
  summary: "Take the sidecar out of manifests",
  usage: "uninject [-o yaml|json] FILE|FOLDER|HTTPS-URL|-",

  async run(args, context) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { output: { type: "string", short: "o", default: "yaml" } },
    });
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
