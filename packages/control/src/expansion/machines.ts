import { isIP } from "node:net";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { microTime } from "@heddle/kube/lease";
import { LEASES, SECRETS, type Secret } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS, type ExternalWorkload } from "@heddle/kube/types/linkerd";
import type { ObjectRef } from "@heddle/kube/types/meta";
import {
  INVITE_TYPE,
  type Invite,
  inviteName,
  isSecretOf,
  MAX_INVITE_SECONDS,
  machineServerName,
  machineSpiffeId,
  readInvite,
} from "@heddle/model/invite";
import { checkCsr } from "../identity/csr.ts";
import type { IssuedLeaf } from "../identity/issuer.ts";
import type { IssuerSource } from "../identity/issuer-source.ts";
import { refusal } from "../refusal.ts";

export interface MachineSettings {
  readonly controlNamespace: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly lifetimeMs: number;
  readonly skewMs: number;
}

export interface JoinCall {
  readonly id: string;
  readonly secret: string;
  /** PKCS#10 in DER, for the id that the invitation gives. */
  readonly csr: Uint8Array;
  readonly addresses: readonly string[];
}

export interface Admission {
  readonly spiffeId: string;
  readonly issued: IssuedLeaf;
  readonly serverName: string;
  readonly workload: ExternalWorkload;
}

/** Marks the objects of machines that joined by invitation. */
export const MACHINE_LABEL = "heddle.dev/machine";
export const NETWORK_LABEL = "heddle.dev/network";

/**
 * A report is due so often; a machine that misses several counts as dead. With the second between two
 * looks at it, and one more until the look that finds it silent, that is within 10 s of its end.
 */
export const REPORT_EVERY_MS = 2_000;
export const DEAD_AFTER_MS = 6_500;

/** How a machine is called in the API server: the ExternalWorkload and its Lease. */
interface Machine {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Admits machines, renews their certificates, notes how they are, lets them go. All state is in the
 * API: the invitation (a Secret, used up by deleting it), the ExternalWorkload, and a Lease that
 * reports renew, so that any replica may take any call.
 */
export class Machines {
  readonly #client: KubeClient;
  readonly #issuers: IssuerSource;
  readonly #settings: MachineSettings;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(
    client: KubeClient,
    issuers: IssuerSource,
    settings: MachineSettings,
    runtime: { readonly clock: Clock; readonly log: Log },
  ) {
    this.#client = client;
    this.#issuers = issuers;
    this.#settings = settings;
    this.#clock = runtime.clock;
    this.#log = runtime.log;
  }

  /**
   * Uses an invitation up and registers its machine. Everything that can be refused is refused
   * before the invitation is used up; of two that hold the same token one wins.
   */
  async join(call: JoinCall, signal: AbortSignal): Promise<Admission> {
    const issuer = this.#issuers.usableIssuer();
    const addresses = checkAddresses(call.addresses);
    const { invite, secret } = await this.#invitation(call, signal);
    const { namespace, name } = invite;
    const spiffeId = machineSpiffeId(this.#settings.trustDomain, namespace, name);
    const csr = await checkCsr(call.csr, spiffeId, "url");
    const registered = await this.#client.find(EXTERNAL_WORKLOADS, { namespace, name }, { signal });
    if (registered !== undefined) {
      const message = `Cannot join as ${namespace}/${name}: a machine of that name is registered; run "heddle leave" on it, or delete its ExternalWorkload`;
      throw refusal("failed_precondition", message);
    }
    // Signed before the invitation is used up: a certificate that nobody gets harms nobody, and
    // what follows can fail only for want of the API server.
    const issued = await this.#issue(issuer, csr.publicKey, spiffeId);
    const workload = this.#workload(invite, spiffeId, addresses);
    await this.#useUp(secret, signal);
    await this.#client.create(EXTERNAL_WORKLOADS, workload, { signal });
    this.#log.info("machine joined", { namespace, name, spiffeId, addresses: addresses.join(",") });
    return { spiffeId, issued, serverName: workload.spec.meshTLS.serverName, workload };
  }

  /** @param peer - The id that the caller proved in TLS. */
  async renew(
    peer: string | undefined,
    csrDer: Uint8Array,
    signal: AbortSignal,
  ): Promise<Admission> {
    const { machine, workload } = await this.#member(peer, signal);
    const spiffeId = machineSpiffeId(this.#settings.trustDomain, machine.namespace, machine.name);
    const csr = await checkCsr(csrDer, spiffeId, "url");
    const issued = await this.#issue(this.#issuers.usableIssuer(), csr.publicKey, spiffeId);
    return { spiffeId, issued, serverName: workload.spec.meshTLS.serverName, workload };
  }

  async report(
    peer: string | undefined,
    state: { readonly isReady: boolean; readonly message: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { machine, workload } = await this.#member(peer, signal);
    await this.#renewLease(machine, workload, signal);
    await this.setReady(
      workload,
      state.isReady,
      state.isReady ? "Probed" : "ProbeFailed",
      state.message,
    );
  }

  async leave(peer: string | undefined, signal: AbortSignal): Promise<void> {
    const { machine } = await this.#member(peer, signal);
    await this.#client.delete(EXTERNAL_WORKLOADS, machine, { signal });
    await this.#client.delete(LEASES, leaseOf(machine), { signal });
    this.#log.info("machine left", { ...machine });
  }

  /** Writes the condition `Ready` if it differs from what the workload says. */
  async setReady(
    workload: ExternalWorkload,
    isReady: boolean,
    reason: string,
    message: string,
  ): Promise<void> {
    const status = isReady ? "True" : "False";
    const known = readyCondition(workload);
    if (known?.status === status && known.reason === reason && known.message === message) return;
    const now = new Date(this.#clock.wallMs()).toISOString();
    const lastTransitionTime = known?.status === status ? known.lastTransitionTime : now;
    const condition = {
      type: "Ready",
      status,
      reason,
      message: message.slice(0, 1_024),
      lastProbeTime: now,
      lastTransitionTime: lastTransitionTime ?? now,
    };
    const others = (workload.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
    const ref = { namespace: workload.metadata.namespace, name: workload.metadata.name ?? "" };
    const body = { status: { conditions: [...others, condition] } };
    await this.#client.patch(
      EXTERNAL_WORKLOADS,
      ref,
      { type: "merge", body },
      { subresource: "status" },
    );
    if (known?.status !== status)
      this.#log.info("machine changed", { ...ref, ready: status, message });
  }

  async #invitation(
    call: JoinCall,
    signal: AbortSignal,
  ): Promise<{ readonly invite: Invite; readonly secret: Secret }> {
    // One message for all: who guesses learns nothing about which part was wrong.
    const unknown = refusal(
      "permission_denied",
      "Cannot join: the token is unknown, was changed, or was used already; ask for another one",
    );
    if (!/^[a-z0-9]{1,63}$/.test(call.id)) throw unknown;
    const ref = { namespace: this.#settings.controlNamespace, name: inviteName(call.id) };
    const secret = await this.#client.find(SECRETS, ref, { signal });
    if (secret === undefined || secret.type !== INVITE_TYPE) throw unknown;
    const data = Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString("utf8"),
      ]),
    );
    const invite = readInvite(call.id, data);
    if (!isSecretOf(invite, call.secret)) throw unknown;
    const created = Date.parse(String(secret.metadata.creationTimestamp)) / 1000;
    const end = Math.min(invite.expires, created + MAX_INVITE_SECONDS);
    if (this.#clock.wallMs() / 1000 > end) {
      const at = new Date(end * 1000).toISOString();
      throw refusal(
        "permission_denied",
        `Cannot join: the token expired at ${at}; ask for another one`,
      );
    }
    return { invite, secret };
  }

  /** Deletes this very invitation: whoever comes second finds it gone. */
  async #useUp(secret: Secret, signal: AbortSignal): Promise<void> {
    const { uid, resourceVersion } = secret.metadata;
    const ref = { namespace: secret.metadata.namespace, name: secret.metadata.name ?? "" };
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    let isOurs: boolean;
    try {
      isOurs = await this.#client.delete(SECRETS, ref, { preconditions, signal });
    } catch (error) {
      if (!hasReason(error, "Conflict")) throw error;
      isOurs = false;
    }
    if (isOurs) return;
    const message =
      "Cannot join: the token was used by somebody else just now; ask for another one";
    throw refusal("permission_denied", message);
  }

  /** The caller's own machine, by the id that it proved; nobody speaks for another. */
  async #member(
    peer: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly machine: Machine; readonly workload: ExternalWorkload }> {
    const machine = peer === undefined ? undefined : machineOf(peer, this.#settings.trustDomain);
    if (machine === undefined) {
      const state =
        peer === undefined ? "no certificate was presented" : `${peer} is no machine's id`;
      throw refusal("unauthenticated", `Cannot tell which machine calls: ${state}`);
    }
    const workload = await this.#client.find(EXTERNAL_WORKLOADS, machine, { signal });
    if (workload === undefined || workload.spec.meshTLS.identity !== peer) {
      const message = `Cannot serve ${peer}: it is not registered any more; join again with a new token`;
      throw refusal("permission_denied", message);
    }
    return { machine, workload };
  }

  #workload(invite: Invite, spiffeId: string, addresses: readonly string[]): ExternalWorkload {
    const { namespace, name, labels, ports, network } = invite;
    return {
      metadata: {
        namespace,
        name,
        labels: {
          ...labels,
          [MACHINE_LABEL]: name,
          ...(network === "" ? {} : { [NETWORK_LABEL]: network }),
        },
      },
      spec: {
        meshTLS: {
          identity: spiffeId,
          serverName: machineServerName(namespace, name, this.#settings.clusterDomain),
        },
        ports: ports.map((port) => ({ ...port, protocol: "TCP" })),
        workloadIPs: addresses.map((ip) => ({ ip })),
      },
    };
  }

  async #issue(
    issuer: ReturnType<IssuerSource["usableIssuer"]>,
    publicKey: Uint8Array,
    spiffeId: string,
  ): Promise<IssuedLeaf> {
    const { lifetimeMs, skewMs } = this.#settings;
    const name = { type: "url", value: spiffeId } as const;
    return await issuer.issueLeaf({ publicKey, name, lifetimeMs, skewMs }, this.#clock.wallMs());
  }

  async #renewLease(
    machine: Machine,
    workload: ExternalWorkload,
    signal: AbortSignal,
  ): Promise<void> {
    const ref = leaseOf(machine);
    const renewTime = microTime(this.#clock.wallMs());
    // Clusters have many leases: ours are found by their label.
    const labels = { [MACHINE_LABEL]: machine.name };
    const body = { metadata: { labels }, spec: { renewTime } };
    try {
      await this.#client.patch(LEASES, ref, { type: "merge", body }, { signal });
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
      const { uid, name } = workload.metadata;
      const owner = {
        apiVersion: "workload.linkerd.io/v1beta1",
        kind: "ExternalWorkload",
        name: name ?? "",
        uid: uid ?? "",
      };
      const metadata = {
        namespace: machine.namespace,
        name: ref.name,
        labels,
        ownerReferences: [owner],
      };
      const seconds = Math.ceil(DEAD_AFTER_MS / 1000);
      const spec = { holderIdentity: machine.name, leaseDurationSeconds: seconds, renewTime };
      await this.#client.create(LEASES, { metadata, spec }, { signal });
    }
  }
}

/** The Lease that a machine's reports renew. */
export function leaseOf(machine: ObjectRef): ObjectRef {
  return { namespace: machine.namespace, name: `heddle-machine-${machine.name}` };
}

export function readyCondition(
  workload: ExternalWorkload,
): NonNullable<NonNullable<ExternalWorkload["status"]>["conditions"]>[number] | undefined {
  return workload.status?.conditions?.find(({ type }) => type === "Ready");
}

/** `spiffe://TD/ns/N/external/W`, and nothing that only looks like it. */
export function machineOf(id: string, trustDomain: string): Machine | undefined {
  const match = /^spiffe:\/\/([^/]+)\/ns\/([a-z0-9-]{1,63})\/external\/([a-z0-9.-]{1,253})$/.exec(
    id,
  );
  if (match === null || match[1] !== trustDomain) return undefined;
  return { namespace: match[2]!, name: match[3]! };
}

function checkAddresses(addresses: readonly string[]): readonly string[] {
  const families = addresses.map((address) => isIP(address));
  if (addresses.length === 0 || families.includes(0)) {
    const state = `"${addresses.join(", ")}" is no list of IP addresses`;
    throw refusal("invalid_argument", `Cannot join: ${state}`);
  }
  if (new Set(families).size !== families.length) {
    throw refusal("invalid_argument", "Cannot join: more than one address of a family");
  }
  return addresses;
}
