import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { parseArgs } from "node:util";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { CONFIG_MAPS, NAMESPACES, SECRETS } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import {
  EXPANSION_CONFIG_MAP,
  hashSecret,
  INVITE_TYPE,
  type Invite,
  inviteData,
  inviteName,
  MAX_INVITE_SECONDS,
  type MachinePort,
} from "@heddle/model/invite";
import { formatJoinToken, type JoinToken, joinProof } from "@heddle/model/join-token";
import { CLUSTER_OPTIONS, clusterClient, requireName } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";

export const invite: Command = {
  name: "invite",
  summary: "Print a one-use token with which a machine may join",
  usage:
    "invite --name NAME [-n NAMESPACE] [--service-port PORT[:NAME]]… [--label KEY=VALUE]… [--network NAME] [--ttl MINUTES] [-o text|json]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...CLUSTER_OPTIONS,
        name: { type: "string" },
        namespace: { type: "string", short: "n", default: "default" },
        "service-port": { type: "string", multiple: true, default: [] },
        label: { type: "string", multiple: true, default: [] },
        network: { type: "string", default: "default" },
        ttl: { type: "string", default: "60" },
        output: { type: "string", short: "o", default: "text" },
      },
    });
    if (!["text", "json"].includes(values.output)) {
      throw new UsageError(`-o takes text or json, not "${values.output}"`);
    }
    const nowSeconds = Math.floor(context.clock.wallMs() / 1000);
    const draft: Omit<Invite, "secretHash"> = {
      id: randomBytes(8).toString("hex"),
      namespace: requireName(values.namespace, "--namespace"),
      name: requireName(values.name, "--name"),
      network: values.network,
      labels: Object.fromEntries(values.label.map(parseLabel)),
      ports: values["service-port"].map(parsePort),
      expires: nowSeconds + parseMinutes(values.ttl) * 60,
    };
    const client = clusterClient(values, context);
    const endpoint = await findEndpoint(client, values["linkerd-namespace"]);
    await checkFree(client, draft);
    const token: JoinToken = {
      ...endpoint,
      id: draft.id,
      secret: randomBytes(32).toString("base64url"),
      namespace: draft.namespace,
      name: draft.name,
      network: draft.network,
      ports: draft.ports.map(({ port }) => port),
      expires: draft.expires,
    };
    const text = formatJoinToken(token);
    await client.create(SECRETS, {
      metadata: {
        namespace: values["linkerd-namespace"],
        name: inviteName(draft.id),
        labels: { "heddle.dev/invite": "true" },
      },
      type: INVITE_TYPE,
      stringData: inviteData({ ...draft, secretHash: hashSecret(joinProof(token)) }),
    });
    if (values.output === "json") {
      const expires = new Date(draft.expires * 1000).toISOString();
      context.out(
        JSON.stringify({ token: text, namespace: draft.namespace, name: draft.name, expires }),
      );
      return 0;
    }
    context.out(text);
    const until = new Date(draft.expires * 1000).toISOString().slice(11, 16);
    context.err(`Good once, until ${until} UTC. On the machine, run: heddle join TOKEN`);
    return 0;
  },
};

/** Where machines join, as the control plane says, and whom they are to trust. */
async function findEndpoint(
  client: KubeClient,
  namespace: string,
): Promise<{
  readonly addresses: readonly string[];
  readonly serverName: string;
  readonly trustDomain: string;
  readonly fingerprint: string;
}> {
  const where = await client.find(CONFIG_MAPS, { namespace, name: EXPANSION_CONFIG_MAP });
  const roots = await client.find(CONFIG_MAPS, { namespace, name: "linkerd-identity-trust-roots" });
  const anchors = roots?.data?.["ca-bundle.crt"];
  const { addresses, serverName, trustDomain } = where?.data ?? {};
  const isComplete = [addresses, serverName, trustDomain, anchors].every((text) => text);
  if (!isComplete) {
    const message = `Cannot invite: no control plane that admits machines is in namespace ${namespace}; is it running?`;
    throw new MeshError("no_expansion", "control", message);
  }
  return {
    addresses: addresses!.split(","),
    serverName: serverName!,
    trustDomain: trustDomain!,
    fingerprint: createHash("sha256").update(new X509Certificate(anchors!).raw).digest("hex"),
  };
}

async function checkFree(
  client: KubeClient,
  { namespace, name }: Pick<Invite, "namespace" | "name">,
): Promise<void> {
  const found = await client.find(NAMESPACES, { name: namespace });
  if (found === undefined) {
    const hint = `create it with: kubectl create namespace ${namespace}`;
    throw new MeshError(
      "no_namespace",
      "client",
      `Cannot invite: there is no namespace ${namespace}; ${hint}`,
    );
  }
  const taken = await client.find(EXTERNAL_WORKLOADS, { namespace, name });
  if (taken === undefined) return;
  const message = `Cannot invite ${namespace}/${name}: a machine of that name is registered`;
  throw new MeshError("name_taken", "client", message);
}

function parseLabel(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--label takes KEY=VALUE, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function parsePort(text: string): MachinePort {
  const match = /^(\d{1,5})(?::([a-z]([-a-z0-9]{0,13}[a-z0-9])?))?$/.exec(text);
  const port = Number(match?.[1]);
  if (match === null || port < 1 || port > 65_535) {
    throw new UsageError(`--service-port takes PORT or PORT:NAME, not "${text}"`);
  }
  return { port, name: match[2] ?? `port-${port}` };
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (Number.isInteger(minutes) && minutes >= 1 && minutes * 60 <= MAX_INVITE_SECONDS)
    return minutes;
  throw new UsageError(`--ttl takes 1 to ${MAX_INVITE_SECONDS / 60} minutes, not "${text}"`);
}
