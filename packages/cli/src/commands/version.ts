import { parseArgs } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import type { Command } from "../command.ts";

export const version: Command = {
  name: "version",
  summary: "Show the versions of client and control plane",
  usage: "version [--client] [--short]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        client: { type: "boolean", default: false },
        short: { type: "boolean", default: false },
      },
    });
    context.out(values.short ? clientVersion() : `Client version: ${clientVersion()}`);
    return 0;
  },
};

/** The one version of all packages. */
export function clientVersion(): string {
  return manifest.version;
}
