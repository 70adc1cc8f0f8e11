import { EXTENSIONS_METADATA, SPIFFE_TRUST_DOMAINS } from "@heddle/api/extensions";
import type { InboundServerPolicies, PortSpec } from "@heddle/api/gen/inbound_pb";
import type { IPAddress } from "@heddle/api/gen/net_pb";
import type { OutboundPolicies, TrafficSpec } from "@heddle/api/gen/outbound_pb";
import { parseDnsName } from "@heddle/model/dns-name";
import { type IpAddress, ipv4, ipv6 } from "@heddle/model/network";
import { type SocketAddress, splitAuthority } from "@heddle/model/socket-address";
import type { EncodedMessage } from "@heddle/net/grpc/encoded-message";
import { GrpcError } from "@heddle/net/grpc/error";
import type { CallContext, Handlers } from "@heddle/net/grpc/handlers";
import { GrpcStatus } from "@heddle/net/grpc/status";
import type { Cells, Compute } from "./cells.ts";
import type { InboundIndex } from "./inbound/core.ts";
import { EXTERNAL_IDS } from "./inbound/core.ts";
import { type Audience, encodeServer } from "./inbound/encode.ts";
import { Latest } from "./latest.ts";
import { type Destination, keyOfDestination, type OutboundIndex } from "./outbound/core.ts";
import { encodePolicy } from "./outbound/encode.ts";
import type { EntryCache } from "./outbound/entry-cache.ts";
import { parseWorkloadToken, type WorkloadToken } from "./workload-token.ts";

export interface PolicyAnswers {
  readonly inbound: InboundIndex;
  readonly outbound: OutboundIndex;
  readonly cells: Cells<EncodedMessage>;
  /** Of SPIFFE ids that this mesh issues. */
  readonly trustDomain: string;
  /** Of outbound policies with very many routes. */
  readonly routes: EntryCache;
  /** Whether the indexes know all there is. */
  readonly isReady: () => boolean;
}

export function inboundHandlers(answers: PolicyAnswers): Handlers<typeof InboundServerPolicies> {
  return {
    // A failure to understand is the caller's: it comes as a rejection, as from any handler.
    getPort: async (request, context) => {
      requireReady(answers);
      const { compute } = inboundQuestion(answers, request, context);
      return present(
        compute(() => undefined),
        "unknown server",
      );
    },
    watchPort: (request, context) =>
      watch(answers, "unknown server", () => inboundQuestion(answers, request, context)),
  };
}

export function outboundHandlers(answers: PolicyAnswers): Handlers<typeof OutboundPolicies> {
  return {
    get: async (request) => {
      requireReady(answers);
      const { compute } = outboundQuestion(answers, request);
      return present(
        compute(() => undefined),
        "No such service",
      );
    },
    watch: (request) => watch(answers, "No such service", () => outboundQuestion(answers, request)),
  };
}

interface Question {
  /** Equal for questions that have the same answer now and for ever. */
  readonly key: string;
  readonly compute: Compute<EncodedMessage>;
}

function watch(
  answers: PolicyAnswers,
  notFound: string,
  ask: () => Question,
): Latest<EncodedMessage> {
  requireReady(answers);
  const { key, compute } = ask();
  const latest = new Latest<EncodedMessage>();
  const unsubscribe = answers.cells.subscribe(key, compute, latest);
  if (unsubscribe === undefined) throw new GrpcError(GrpcStatus.notFound, notFound);
  latest.onDetach = unsubscribe;
  return latest;
}

/** What is not known yet must not be answered: nothing fails open while lists are read. */
function requireReady({ isReady }: PolicyAnswers): void {
  if (isReady()) return;
  throw new GrpcError(GrpcStatus.unavailable, "policies are not loaded yet", { side: "self" });
}

function present(answer: EncodedMessage | "gone", notFound: string): EncodedMessage {
  if (answer === "gone") throw new GrpcError(GrpcStatus.notFound, notFound);
  return answer;
}

function inboundQuestion(
  { inbound, trustDomain }: PolicyAnswers,
  { workload, port }: PortSpec,
  { metadata }: CallContext,
): Question {
  const { kind, namespace, name } = workloadOf(workload);
  if (port < 1 || port > 65_535) {
    throw new GrpcError(GrpcStatus.invalidArgument, `Invalid port: ${port}`);
  }
  const trustDomains = readsTrustDomains(metadata) ? [trustDomain] : [];
  return {
    key: `inbound ${trustDomains.length} ${kind} ${namespace}/${name}:${port}`,
    compute: (track) => {
      const server = inbound.server(kind, namespace, name, port, track);
      if (server === undefined) return "gone";
      track(EXTERNAL_IDS);
      const audience: Audience = { trustDomains, machines: inbound.externalIds() };
      return encodeServer(server, audience);
    },
  };
}

function outboundQuestion({ outbound, routes }: PolicyAnswers, request: TrafficSpec): Question {
  const { namespace } = workloadOf(request.sourceWorkload);
  const destination = destinationOf(outbound, request, namespace);
  if (destination === undefined) throw new GrpcError(GrpcStatus.notFound, "No such service");
  return {
    key: `outbound ${namespace} ${keyOfDestination(destination)}`,
    compute: (track) => {
      const policy = outbound.policy(destination, namespace, track);
      return policy === "gone" ? "gone" : encodePolicy(policy, routes);
    },
  };
}

function destinationOf(
  outbound: OutboundIndex,
  { target }: TrafficSpec,
  namespace: string,
): Destination | undefined {
  switch (target.case) {
    case "addr":
      return outbound.lookupAddress(addressOf(target.value.ip, target.value.port), namespace);
    case "authority": {
      const split = splitAuthority(target.value);
      const { host, port = 80 } = split ?? { host: "" };
      if (host === "" || port === 0) {
        const message = `Invalid authority: ${JSON.stringify(target.value)}`;
        throw new GrpcError(GrpcStatus.invalidArgument, message);
      }
      const name = parseDnsName(host.replace(/\.+$/, ""));
      return name === undefined ? undefined : outbound.lookupName(name, port);
    }
    case undefined:
      throw new GrpcError(GrpcStatus.invalidArgument, "target is required");
  }
}

function addressOf(address: IPAddress | undefined, port: number): SocketAddress {
  if (port < 1 || port > 65_535) {
    throw new GrpcError(GrpcStatus.invalidArgument, `Invalid port: ${port}`);
  }
  return { ip: ipOf(address), port };
}

function ipOf(address: IPAddress | undefined): IpAddress {
  switch (address?.ip.case) {
    case "ipv4":
      return ipv4(address.ip.value);
    case "ipv6":
      return ipv6(address.ip.value.first, address.ip.value.last);
    case undefined:
      throw new GrpcError(GrpcStatus.invalidArgument, "an IP address is required");
  }
}

function workloadOf(text: string): WorkloadToken {
  try {
    return parseWorkloadToken(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new GrpcError(GrpcStatus.invalidArgument, error.message, { cause: error });
  }
}

function readsTrustDomains(metadata: CallContext["metadata"]): boolean {
  return metadata
    .getAll(EXTENSIONS_METADATA)
    .some((value) => value.split(",").some((item) => item.trim() === SPIFFE_TRUST_DOMAINS));
}
