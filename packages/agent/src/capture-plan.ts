import type { CaptureSettings } from "@heddle/inject/capture-rules";
import { parseHostPort } from "./host-port.ts";
import type { Membership } from "./state.ts";

/**
 * The group that a captured machine's proxy runs in: its connections pass the rules by. Linkerd's
 * own number for its proxy.
 */
export const PROXY_GID = 2102;

/** The rules of one membership: what the agent and the proxy call themselves passes by. */
export function captureSettings(membership: Membership): CaptureSettings {
  const { mesh, expansion, ports } = membership;
  const control = [
    ...expansion.addresses,
    mesh.destination.address,
    mesh.policy.address,
    mesh.identity.address,
  ];
  return {
    inboundPorts: ports.map(({ port }) => port),
    skipOutboundPorts: [],
    skipOutboundAddresses: [...new Set(control)].map(parseHostPort),
    proxyGid: PROXY_GID,
  };
}
