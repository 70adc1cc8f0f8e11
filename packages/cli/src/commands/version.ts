import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
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
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version;
}
