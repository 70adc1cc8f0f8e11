import { readFileSync } from "node:fs";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import type { DeclaredListener } from "@heddle/inject/proxy-env";
import { machineSpiffeId } from "@heddle/model/invite";
import type { JoinToken } from "@heddle/model/join-token";
import { keyPem, newCsr, newKey, parseKey } from "./csr.ts";
import { callJoin, fetchAnchor } from "./expansion-client.ts";
import { bypasses, listeningSockets } from "./listening.ts";
import type { Membership, StateFolder } from "./state.ts";
import { derOf, type HeldSvid, heldSvid, pemOf } from "./svid.ts";

export interface JoinOptions {
  readonly token: JoinToken;
  readonly state: StateFolder;
  /** The address at which the mesh reaches this machine. */
  readonly ip: string;
  readonly appIp?: string;
  readonly mode: Membership["mode"];
  readonly listeners: readonly DeclaredListener[];
  readonly allowBypass: boolean;
  /** HEDDLE_LOOPBACK_MESH; empty for none. */
  readonly loopbackMesh: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const CALL_TIMEOUT_MS = 10_000;

/**
 * Makes this machine a member: a key of its own, a certificate for the token, and the files that
 * the agent runs from. No file is written unless the mesh admitted us.
 *
 * @throws MeshError that says why not.
 */
export async function joinMesh(options: JoinOptions): Promise<Membership> {
  const { token, state, ip, appIp, mode, loopbackMesh, clock, signal } = options;
  if (state.exists) {
    const message = `Cannot join: ${state.path} holds a membership already; run "heddle leave" first`;
    throw new MeshError("already_joined", "client", message);
  }
  if (clock.wallMs() / 1000 > token.expires) {
    const at = new Date(token.expires * 1000).toISOString();
    const message = `Cannot join: the token expired at ${at}; ask for another one`;
    throw new MeshError("token_expired", "client", message);
  }
  if (mode === "rootless" && !options.allowBypass) checkBypass(token.ports, appIp ?? ip, ip);
  // Before the token is used up: what it buys must have a place.
  state.prepare();
  const localAddress = loopbackMesh === "" ? undefined : ip;
  const settings = { localAddress, timeoutMs: CALL_TIMEOUT_MS, signal };
  const anchor = await fetchAnchor(token, settings);
  const key = newKey();
  const spiffeId = machineSpiffeId(token.trustDomain, token.namespace, token.name);
  const csr = await newCsr(key, { type: "url", value: spiffeId });
  const answer = await callJoin(token, anchor, { csr, addresses: [ip] }, settings);
  const { svid, destination, policy, identity } = answer;
  if (
    svid === undefined ||
    destination === undefined ||
    policy === undefined ||
    identity === undefined
  ) {
    throw new MeshError(
      "bad_answer",
      "control",
      "Cannot join: the control plane's answer lacks a part",
    );
  }
  const membership: Membership = {
    namespace: token.namespace,
    name: token.name,
    network: token.network,
    spiffeId: svid.spiffeId,
    serverName: answer.serverName,
    ports: answer.ports.map(({ name, port }) => ({ name, port })),
    mesh: {
      trustAnchors: answer.anchors,
      trustDomain: answer.trustDomain,
      clusterDomain: answer.clusterDomain,
      controlNamespace: answer.controlNamespace,
      clusterNetworks: answer.clusterNetworks,
      loopbackMesh,
      destination: { address: destination.address, name: destination.name },
      policy: { address: policy.address, name: policy.name },
      identity: { address: identity.address, name: identity.name },
    },
    expansion: { addresses: token.addresses, serverName: token.serverName },
    ip,
    ...(appIp === undefined ? {} : { appIp }),
    mode,
    listeners: options.listeners,
    allowBypass: options.allowBypass,
  };
  state.writeKey(keyPem(key));
  state.writeSvid(pemOf(svid.chain));
  state.write(membership);
  return membership;
}

/**
 * Refuses application ports that can be reached around the proxy.
 *
 * @throws MeshError `bypass` that names them.
 */
function checkBypass(ports: readonly number[], appIp: string, meshIp: string): void {
  const found = bypasses(listeningSockets(), ports, { appIp, meshIp });
  if (found.length === 0) return;
  const list = found.map(({ ip, port }) => `${ip}:${port}`).join(", ");
  const message = `Cannot join without root: the application listens at ${list}, where it can be reached around the mesh; let it listen at ${appIp} only, or say --allow-bypass`;
  throw new MeshError("bypass", "client", message);
}

/** The identity that join or a renewal wrote. */
export function loadHeldSvid(state: StateFolder, membership: Membership): HeldSvid {
  const key = parseKey(readFileSync(state.key, "utf8"));
  const chain = derOf(readFileSync(state.svid, "utf8"));
  return heldSvid(membership.spiffeId, chain, key, membership.mesh.trustAnchors);
}
