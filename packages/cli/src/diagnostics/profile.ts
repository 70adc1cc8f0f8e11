import { Destination, DestinationProfileSchema } from "@heddle/api/gen/destination_pb";
import { MeshError } from "@heddle/base/errors";
import { CLUSTER_OPTIONS } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { parseCommandLine } from "../go-flags.ts";
import {
  DESTINATION_OPTIONS,
  DESTINATION_PORT,
  DESTINATION_USAGE,
  withDestination,
} from "./destination.ts";
import { goJson, goStruct } from "./go-struct.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  ...DESTINATION_OPTIONS,
  token: { type: "string", default: "" },
} as const;

export const profile: Command = {
  name: "diagnostics profile",
  summary: "Show the profile that the destination controller sends for an address",
  usage: `diagnostics profile [--token TOKEN] ${DESTINATION_USAGE} ADDRESS`,

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const [path, ...more] = positionals;
    if (path === undefined || more.length > 0) {
      throw new UsageError(
        "name one address, such as 10.0.0.1:80 or web.shop.svc.cluster.local:80",
      );
    }
    const found = await withDestination(DESTINATION_PORT, flags, context, async (client) => {
      const request = { path, contextToken: flags.token };
      const signal = context.stop;
      const { getProfile } = Destination.method;
      // Leaving the iteration ends the stream.
      for await (const message of client.serverStream(getProfile, request, { signal }))
        return message;
      const state = "the controller ended the stream before it sent one";
      throw new MeshError("no_profile", "control", `Cannot show the profile of ${path}: ${state}`);
    });
    context.out(goJson(goStruct(DestinationProfileSchema, found)));
    return 0;
  },
};
