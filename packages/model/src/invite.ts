import { createHash, timingSafeEqual } from "node:crypto";

/** A port that a machine serves on, as Services see it. */
export interface MachinePort {
  readonly name: string;
  readonly port: number;
}

/** An invitation as the store keeps it: who may join, until when, and a hash of the secret. */
export interface Invite {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly network: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly MachinePort[];
  /** Seconds since the Unix epoch. */
  readonly expires: number;
  /** SHA-256 of what the machine will show (`joinProof`), hexadecimal. */
  readonly secretHash: string;
}

/** Longer than this no invitation lives, whatever it says of itself. */
export const MAX_INVITE_SECONDS = 3_600;

/** Invitations are Secrets of this type in the control plane's namespace. */
export const INVITE_TYPE = "heddle.dev/invite";

/** The name of the Secret that holds an invitation. */
export function inviteName(id: string): string {
  return `heddle-invite-${id}`;
}

/** The contents of the Secret, as text. */
export function inviteData(invite: Invite): Record<string, string> {
  return {
    namespace: invite.namespace,
    name: invite.name,
    network: invite.network,
    labels: JSON.stringify(invite.labels),
    ports: JSON.stringify(invite.ports),
    expires: String(invite.expires),
    secretHash: invite.secretHash,
  };
}

/** @throws SyntaxError if it is not what `inviteData` gives. */
export function readInvite(id: string, data: Readonly<Record<string, string>>): Invite {
  const { namespace, name, network, labels, ports, expires, secretHash } = data;
  if (namespace === undefined || name === undefined || secretHash === undefined) {
    throw new SyntaxError(`invitation ${id} lacks a namespace, a name or a hash`);
  }
  if (!/^\d+$/.test(expires ?? "")) throw new SyntaxError(`invitation ${id} never expires`);
  return {
    id,
    namespace,
    name,
    network: network ?? "",
    labels: JSON.parse(labels ?? "{}") as Record<string, string>,
    ports: JSON.parse(ports ?? "[]") as MachinePort[],
    expires: Number(expires),
    secretHash,
  };
}

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Compares in constant time. */
export function isSecretOf(invite: Pick<Invite, "secretHash">, secret: string): boolean {
  const given = Buffer.from(hashSecret(secret), "hex");
  const wanted = Buffer.from(invite.secretHash, "hex");
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** `spiffe://TRUST_DOMAIN/ns/NAMESPACE/external/NAME`. */
export function machineSpiffeId(trustDomain: string, namespace: string, name: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/external/${name}`;
}

/** The DNS name that a machine's proxy answers to in TLS: one for each machine. */
export function machineServerName(namespace: string, name: string, clusterDomain: string): string {
  return `${name}.${namespace}.external.${clusterDomain}`;
}

/**
 * The ConfigMap in the control plane's namespace in which it says where machines join: keys
 * `addresses` (separated by commas), `serverName`, `trustDomain`.
 */
export const EXPANSION_CONFIG_MAP = "heddle-expansion";
