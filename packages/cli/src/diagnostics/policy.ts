import { InboundServerPolicies, ServerSchema } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies, OutboundPolicySchema } from "@heddle/api/gen/outbound_pb";
import type { GrpcClient } from "@heddle/net/grpc/client";
import { CLUSTER_OPTIONS, currentNamespace } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { checkOutput, parseCommandLine } from "../go-flags.ts";
import { parseResource, type ResourceName } from "../resource-name.ts";
import {
  DESTINATION_OPTIONS,
  DESTINATION_USAGE,
  POLICY_PORT,
  withDestination,
} from "./destination.ts";
import { goJson, goStruct, goYaml } from "./go-struct.ts";

const OPTIONS = {
  ...CLUSTER_OPTIONS,
  ...DESTINATION_OPTIONS,
  namespace: { type: "string", short: "n" },
  token: { type: "string", default: "default:diagnostics" },
  output: { type: "string", short: "o", default: "yaml" },
} as const;

interface PolicyQuestion {
  readonly resource: ResourceName;
  readonly namespace: string;
  readonly port: number;
  /** Who asks, for policies that depend on it. */
  readonly token: string;
}

export const policy: Command = {
  name: "diagnostics policy",
  summary: "Show the policy of a port of a pod or machine, or of traffic to a Service's",
  usage: `diagnostics policy [-n|--namespace NS] [-o|--output yaml|json] [--token TOKEN] ${DESTINATION_USAGE} po/NAME|ew/NAME|svc/NAME PORT`,

  async run(args, context) {
    const { values: flags, positionals } = parseCommandLine(args, OPTIONS);
    const form = checkOutput(flags.output, ["yaml", "json"]);
    const portText = positionals.at(-1) ?? "";
    const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
    if (positionals.length < 2 || port < 1 || port > 65_535) {
      throw new UsageError(`name a resource and a port, such as po/web-0 8080, not "${portText}"`);
    }
    const question = {
      resource: parseResource(positionals.slice(0, -1)),
      namespace: flags.namespace ?? currentNamespace(flags, context),
      port,
      token: flags.token,
    };
    const ask = questionFor(question);
    const found = await withDestination(POLICY_PORT, flags, context, (client) =>
      ask(client, context.stop),
    );
    context.out(form === "json" ? goJson(found) : (await goYaml(found)).trimEnd());
    return 0;
  },

  async complete(words, said, context) {
    const { resourceWords } = await import("../completion/from-cluster.ts");
    return resourceWords(words, said, context);
  },
};

function questionFor({
  resource: { kind, name },
  namespace,
  port,
  token,
}: PolicyQuestion): (client: GrpcClient, signal: AbortSignal) => Promise<object> {
  if (name === undefined) throw new UsageError(`name the ${kind.name}, such as ${kind.name}/web`);
  if (kind.name === "pod" || kind.name === "externalworkload") {
    const workload =
      kind.name === "pod"
        ? `${namespace}:${name}`
        : JSON.stringify({ ns: namespace, external_workload: name });
    const request = { workload, port };
    return async (client, signal) =>
      goStruct(
        ServerSchema,
        await client.unary(InboundServerPolicies.method.getPort, request, { signal }),
      );
  }
  if (kind.name === "service") {
    const request = {
      sourceWorkload: token,
      target: { case: "authority", value: `${name}.${namespace}.svc:${port}` },
    } as const;
    return async (client, signal) =>
      goStruct(
        OutboundPolicySchema,
        await client.unary(OutboundPolicies.method.get, request, { signal }),
      );
  }
  throw new UsageError(
    `policies are of pods, services and machines (ew/NAME), not of a ${kind.name}`,
  );
}
