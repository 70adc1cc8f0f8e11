import { Expansion } from "@heddle/api/gen/expansion_pb";
import type { Clock } from "@heddle/base/clock";
import type { Log } from "@heddle/base/log";
import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { runWithLease } from "@heddle/kube/lease";
import { CONFIG_MAPS } from "@heddle/kube/types/core";
import { EXPANSION_CONFIG_MAP } from "@heddle/model/invite";
import type { GrpcServer } from "@heddle/net/grpc/server";
import type { IssuerSource } from "../identity/issuer-source.ts";
import { runLiveness } from "./liveness.ts";
import { Machines } from "./machines.ts";
import { expansionHandlers, type MeshFacts } from "./service.ts";

/** Whoever holds it marks silent machines dead. */
const LEASE = "heddle-expansion-write";

export interface ExpansionOptions {
  readonly client: KubeClient;
  readonly issuers: IssuerSource;
  readonly facts: MeshFacts;
  /** Where machines reach the join endpoint, `address:port` each. */
  readonly addresses: readonly string[];
  /** The name on the join endpoint's certificate. */
  readonly serverName: string;
  readonly lifetimeMs: number;
  readonly skewMs: number;
  /** The server of the port `expansion`: TLS only, peers known by their certificate. */
  readonly grpc: GrpcServer;
  readonly holder: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Admits machines and looks after them, until it is disposed of. */
export async function startExpansion(options: ExpansionOptions): Promise<AsyncDisposable> {
  const { client, issuers, facts, grpc, clock, log, holder } = options;
  const { lifetimeMs, skewMs, addresses, serverName } = options;
  const machines = new Machines(client, issuers, { ...facts, lifetimeMs, skewMs }, { clock, log });
  grpc.add(Expansion, expansionHandlers(machines, issuers, facts));
  const stop = new AbortController();
  const { controlNamespace: namespace, trustDomain } = facts;
  await advertise(client, namespace, { addresses: addresses.join(","), serverName, trustDomain });
  const leading = runWithLease({
    client,
    lease: { namespace, name: LEASE },
    holder,
    lead: (signal) => runLiveness({ client, machines, clock, log, signal }),
    signal: stop.signal,
    log,
  });
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await leading;
    },
  };
}

/** Says where machines join, for `heddle invite` to read. */
async function advertise(
  client: KubeClient,
  namespace: string,
  data: Readonly<Record<string, string>>,
): Promise<void> {
  const ref = { namespace, name: EXPANSION_CONFIG_MAP };
  try {
    await client.create(CONFIG_MAPS, { metadata: ref, data });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    await client.patch(CONFIG_MAPS, ref, { type: "merge", body: { data } });
  }
}
