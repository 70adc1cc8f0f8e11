import { parseArgs } from "node:util";
import { uninject as takeOut } from "@heddle/inject/uninject";
import { type Command, UsageError } from "../command.ts";
import { transformManifests } from "../manifests.ts";

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
    const [source, ...more] = positionals;
    if (source === undefined || more.length > 0) {
      throw new UsageError("name one file, folder or HTTPS address, or - for standard input");
    }
    const format = values.output;
    if (format !== "yaml" && format !== "json") {
      throw new UsageError(`-o takes yaml or json, not "${format}"`);
    }
    return transformManifests(
      {
        source,
        format,
        transform: (given) => {
          const { document, isChanged } = takeOut(given);
          return { document, verdict: isChanged ? "uninjected" : "skipped" };
        },
      },
      context,
    );
  },
};
