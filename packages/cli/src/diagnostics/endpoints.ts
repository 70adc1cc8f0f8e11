import { Destination } from "@heddle/api/gen/destination_pb";
import type { GrpcClient } from "@heddle/net/grpc/client";
import { GrpcError } from "@heddle/net/grpc/error";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { CLUSTER_OPTIONS } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { checkOutput, parseCommandLine } from "../go-flags.ts";
import {
  DESTINATION_OPTIONS,
  DESTINATION_PORT,
  DESTINATION_USAGE,
  withDestination,
} from "./destination.ts";
import { type EndpointRow, EndpointSet, endpointTables } from "./endpoint-table.ts";

/** A stream says nothing of a Service without endpoints, so there is no end to wait for. */
const COLLECT_MS = 5_000;

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  ...DESTINATION_OPTIONS,
  token: { type: "string", default: "" },
  output: { type: "string", short: "o", default: "table" },
} as const;

export const endpoints: Command = {
  name: "diagnostics endpoints",
  summary: "Show the endpoints that the destination controller knows of names",
  usage: `diagnostics endpoints [-o|--output table|json] [--token TOKEN] ${DESTINATION_USAGE} AUTHORITY…`,

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const form = checkOutput(flags.output, ["table", "json"]);
    if (positionals.length === 0) {
      throw new UsageError("name an authority, such as web.shop.svc.cluster.local:80");
    }
    const sets = await withDestination(DESTINATION_PORT, flags, context, (client) => {
      const stop = AbortSignal.any([context.stop, AbortSignal.timeout(COLLECT_MS)]);
      // The first that fails ends them all, with the connection.
      return Promise.all(positionals.map((path) => collect(client, path, flags.token, stop)));
    });
    const rows = sets.flat();
    if (form === "json") context.out(JSON.stringify(rows, null, 2));
    else if (rows.length === 0) context.err("No endpoints found.");
    else context.out(endpointTables(rows).join("\n"));
    return 0;
  },
};

async function collect(
  client: GrpcClient,
  path: string,
  contextToken: string,
  signal: AbortSignal,
): Promise<readonly EndpointRow[]> {
  const found = new EndpointSet();
  const request = { scheme: "http:", path, contextToken };
  try {
    for await (const update of client.serverStream(Destination.method.get, request, { signal })) {
      found.apply(update);
    }
  } catch (error) {
    const isOver = error instanceof GrpcError && error.status === GrpcStatus.cancelled;
    if (!isOver || !signal.aborted) throw error;
  }
  return found.rows;
}
