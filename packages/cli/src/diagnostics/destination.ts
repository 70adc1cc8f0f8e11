import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { type PortForward, startPortForward } from "@heddle/kube/port-forward";
import { PODS } from "@heddle/kube/types/core";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { type ClusterValues, clusterClient, controlNamespace } from "../cluster.ts";
import { type CliContext, UsageError } from "../command.ts";

/** Where the destination container serves what. */
export const DESTINATION_PORT = 8086;
export const POLICY_PORT = 8090;

const CONNECT_MS = 10_000;

/** Flags of every command that asks the destination controller, beside those of the cluster. */
export const DESTINATION_OPTIONS = {
  "destination-pod": { type: "string" },
} as const;

export const DESTINATION_USAGE =
  "[--api-addr HOST:PORT] [--destination-pod POD] [--kubeconfig FILE] [--context NAME] [-L|--linkerd-namespace NS]";

export interface DestinationFlags extends ClusterValues {
  readonly "linkerd-namespace": string;
  readonly "api-addr"?: string | undefined;
  readonly "destination-pod"?: string | undefined;
}

/**
 * Asks a controller of the destination pod: at `--api-addr`, or else through the API server, at a
 * running pod that is named or chosen.
 */
export async function withDestination<T>(
  port: number,
  flags: DestinationFlags,
  context: CliContext,
  ask: (client: GrpcClient) => Promise<T>,
): Promise<T> {
  await using parts = new AsyncDisposableStack();
  const given = flags["api-addr"] ?? "";
  let forward: PortForward | undefined;
  if (given === "") {
    const client = parts.use(clusterClient(flags, context));
    const target = await destinationPod(client, flags, context);
    forward = parts.use(await startPortForward(client, { ...target, port }));
  }
  try {
    const at = forward ?? (await parseAddress(given));
    const address = { ip: at.ip, port: at.port };
    const socket = await dial({ address, timeoutMs: CONNECT_MS, signal: context.stop });
    const connection = parts.use(new Http2Client(socket));
    const authority = `linkerd-destination:${port}`;
    return await ask(new GrpcClient(connection, { authority, side: "control" }));
  } catch (error) {
    // Of a connection that was forwarded we see only that it ended.
    throw forward?.problem() ?? error;
  }
}

async function destinationPod(
  client: KubeClient,
  flags: DestinationFlags,
  context: CliContext,
): Promise<{ readonly namespace: string; readonly pod: string }> {
  const namespace = controlNamespace(flags, context);
  const named = flags["destination-pod"];
  if (named !== undefined) return { namespace, pod: named };
  const labelSelector = "linkerd.io/control-plane-component=destination";
  const { items } = await client.list(PODS, { namespace, labelSelector });
  const running = items.find(({ status }) => status?.phase === "Running");
  const pod = running?.metadata.name;
  if (pod !== undefined) return { namespace, pod };
  const message = `Cannot ask the destination controller: no pod of it runs in namespace ${namespace}; --api-addr names one that runs elsewhere`;
  throw new MeshError("no_destination", "client", message);
}

async function parseAddress(text: string): Promise<{ readonly ip: string; readonly port: number }> {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3]);
  if (found === null || port < 1 || port > 65_535) {
    throw new UsageError(`--api-addr takes HOST:PORT, not "${text}"`);
  }
  if (isIP(host) !== 0) return { ip: host, port };
  try {
    return { ip: (await lookup(host)).address, port };
  } catch (cause) {
    const message = `Cannot reach ${text}: its name does not resolve`;
    throw new MeshError("no_address", "client", message, { cause });
  }
}
