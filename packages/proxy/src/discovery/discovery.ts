import type { Server } from "@heddle/api/gen/inbound_pb";
import type { MeshError } from "@heddle/base/errors";
import type { EndpointUpdate } from "../balance/balancer.ts";
import type { OutboundPolicy } from "../outbound/policy.ts";
import type { EndpointInfo } from "./endpoint.ts";
import type { Profile } from "./profile.ts";

/** Where an outbound connection wants to go. */
export type Target =
  | { readonly kind: "address"; readonly ip: string; readonly port: number }
  /** A lower-case DNS name without trailing dot. */
  | { readonly kind: "name"; readonly name: string; readonly port: number };

/** `10.0.0.1:80`, `[::1]:80` or `web.shop.svc.cluster.local:80`. */
export function targetPath(target: Target): string {
  if (target.kind === "name") return `${target.name}:${target.port}`;
  return target.ip.includes(":") ? `[${target.ip}]:${target.port}` : `${target.ip}:${target.port}`;
}

/** Something that is told of changes until it is closed. Nothing is told during the call itself. */
export interface Watch {
  /**
   * Something was told, and the stream that told it is broken: it may be outdated, but nobody can
   * say anything newer. What is stale must not be forgotten.
   */
  readonly isStale: boolean;
  close(): void;
}

/** What the policy controller says of a target. */
export type PolicyNews =
  | { readonly kind: "policy"; readonly policy: OutboundPolicy }
  /** It has none for it. */
  | { readonly kind: "none" }
  /** It refuses to say, for good. */
  | { readonly kind: "failed"; readonly error: MeshError };

/**
 * What serving code asks the control plane. One stream per watch; streams that break are opened
 * again, and until then what was told last holds.
 */
export interface Discovery {
  watchPolicy(target: Target, told: (news: PolicyNews) => void): Watch;
  /** Undefined: there is no profile, for good or because none is asked for. */
  watchProfile(target: Target, told: (profile: Profile | undefined) => void): Watch;
  /** @param path - `name:port`. */
  watchEndpoints(path: string, told: (update: EndpointUpdate<EndpointInfo>) => void): Watch;
  /** The policy of an inbound port, as it came. Undefined: the controller refuses to say. */
  watchPort(port: number, told: (server: Server | undefined) => void): Watch;
}
