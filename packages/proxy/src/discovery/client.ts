import { Destination } from "@heddle/api/gen/destination_pb";
import { InboundServerPolicies, type Server } from "@heddle/api/gen/inbound_pb";
import { OutboundPolicies } from "@heddle/api/gen/outbound_pb";
import { Backoff } from "@heddle/base/backoff";
import { MeshError } from "@heddle/base/errors";
import { ipv6Halves, parseIp } from "@heddle/model/network";
import { GrpcStatus } from "@heddle/net/grpc/status";
import type { EndpointUpdate } from "../balance/balancer.ts";
import { invalidPolicy, type OutboundPolicy } from "../outbound/policy.ts";
import type { DiscoveryConfig } from "./config.ts";
import { type ControlClient, type ControlParts, newControlClient } from "./control-channel.ts";
import {
  type Discovery,
  type PolicyNews,
  type Target,
  targetPath,
  type Watch,
} from "./discovery.ts";
import { type EndpointInfo, parseUpdate } from "./endpoint.ts";
import { type Profile, parseProfile } from "./profile.ts";
import { isRefusal, StreamWatch } from "./stream-watch.ts";
import { parseOutboundPolicy } from "./wire-outbound.ts";

/** Asks the destination and the policy controller; the one owner of their connections. */
export class ControlDiscovery implements Discovery, AsyncDisposable {
  readonly #config: DiscoveryConfig;
  readonly #parts: ControlParts;
  readonly #destination: ControlClient;
  readonly #policy: ControlClient;

  constructor(config: DiscoveryConfig, parts: ControlParts) {
    this.#config = config;
    this.#parts = parts;
    this.#destination = newControlClient(config.destination, parts, Number.POSITIVE_INFINITY);
    this.#policy = newControlClient(config.policy, parts, Number.POSITIVE_INFINITY);
  }

  watchPolicy(target: Target, told: (news: PolicyNews) => void): Watch {
    const subject = targetPath(target);
    const request = { sourceWorkload: this.#config.workload, target: wireTarget(target) };
    return new StreamWatch({
      ...this.#common("OutboundPolicies.Watch", subject, this.#config.policy.tlsName),
      mode: "watch",
      open: (signal) =>
        this.#policy.client.serverStream(OutboundPolicies.method.watch, request, { signal }),
      told: (message) => told({ kind: "policy", policy: this.#parse(subject, message) }),
      isTerminal: (error) =>
        isRefusal(error) ||
        error.status === GrpcStatus.notFound ||
        error.status === GrpcStatus.unimplemented,
      refused: (error) => {
        if (isRefusal(error)) {
          const message = `Cannot discover ${subject}: the controller refuses it`;
          const reason = new MeshError("discovery_failed", "control", message, { cause: error });
          told({ kind: "failed", error: reason });
          return;
        }
        if (error.status === GrpcStatus.unimplemented) {
          this.#parts.log.warn("policy controller has no outbound policies", { subject });
        }
        told({ kind: "none" });
      },
    });
  }

  watchProfile(target: Target, told: (profile: Profile | undefined) => void): Watch {
    const subject = targetPath(target);
    const request = { path: subject, contextToken: this.#config.contextToken };
    return new StreamWatch({
      ...this.#common("GetProfile", subject, this.#config.destination.tlsName),
      mode: "watch",
      open: (signal) =>
        this.#destination.client.serverStream(Destination.method.getProfile, request, { signal }),
      told: (message) => told(parseProfile(message)),
      isTerminal: isRefusal,
      refused: () => told(undefined),
    });
  }

  watchEndpoints(path: string, told: (update: EndpointUpdate<EndpointInfo>) => void): Watch {
    const request = { path, contextToken: this.#config.contextToken };
    return new StreamWatch({
      ...this.#common("Get", path, this.#config.destination.tlsName),
      mode: "resolve",
      open: (signal) =>
        this.#destination.client.serverStream(Destination.method.get, request, { signal }),
      told: (message, isFirst) => {
        const update = parseUpdate(message, isFirst);
        if (update !== undefined) told(update);
      },
      isTerminal: isRefusal,
      refused: (cause) => {
        const message = `Cannot resolve ${path}: the controller refuses it`;
        const error = new MeshError("discovery_failed", "control", message, { cause });
        told({ kind: "failed", error });
      },
    });
  }

  watchPort(port: number, told: (server: Server | undefined) => void): Watch {
    const request = { workload: this.#config.workload, port };
    return new StreamWatch({
      ...this.#common("WatchPort", String(port), this.#config.policy.tlsName),
      mode: "watch",
      open: (signal) =>
        this.#policy.client.serverStream(InboundServerPolicies.method.watchPort, request, {
          signal,
        }),
      told: (message) => told(message),
      isTerminal: isRefusal,
      refused: () => told(undefined),
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#destination.channel.close(), this.#policy.channel.close()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #common(name: string, subject: string, tlsName: string | undefined) {
    const { local, remote, random, clock, log } = this.#parts;
    const { minMs, maxMs, jitter } = (tlsName === undefined ? local : remote).backoff;
    return {
      name,
      subject,
      backoff: new Backoff(minMs, maxMs, jitter, random),
      // Streams of a control plane on loopback are never limited.
      limits: tlsName === undefined ? NO_LIMITS : this.#config.limits,
      clock,
      log,
    };
  }

  #parse(subject: string, message: Parameters<typeof parseOutboundPolicy>[0]): OutboundPolicy {
    try {
      return parseOutboundPolicy(message);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      this.#parts.log.warn("Client policy misconfigured", { subject, error: error.message });
      return invalidPolicy(error.message);
    }
  }
}

const NO_LIMITS = { initialMs: undefined, idleMs: undefined, lifetimeMs: undefined };

function wireTarget(target: Target) {
  if (target.kind === "name") return { case: "authority" as const, value: targetPath(target) };
  const address = parseIp(target.ip);
  const ip =
    address === undefined || address.version === 6
      ? {
          case: "ipv6" as const,
          value: address === undefined ? { first: 0n, last: 0n } : ipv6Halves(address),
        }
      : { case: "ipv4" as const, value: address.a };
  return { case: "addr" as const, value: { ip: { ip }, port: target.port } };
}
