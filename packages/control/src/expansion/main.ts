import { setTimeout as sleep } from "node:timers/promises";
import { Expansion } from "@heddle/api/gen/expansion_pb";
import { Backoff } from "@heddle/base/backoff";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
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

export interface ExpansionRole extends AsyncDisposable {
  /** Resolves when the API says where machines join; until then there can be no invitations. */
  readonly advertised: Promise<void>;
}

/** Admits machines and looks after them, until it is disposed of. */
export function startExpansion(options: ExpansionOptions): ExpansionRole {
  const { client, issuers, facts, grpc, clock, log, holder } = options;
  const { lifetimeMs, skewMs, addresses, serverName } = options;
  const machines = new Machines(client, issuers, { ...facts, lifetimeMs, skewMs }, { clock, log });
  grpc.add(Expansion, expansionHandlers(machines, issuers, facts));
  const stop = new AbortController();
  const { controlNamespace: namespace, trustDomain } = facts;
  const data = { addresses: addresses.join(","), serverName, trustDomain };
  const advertised = advertiseUntilDone(client, namespace, data, { log, signal: stop.signal });
  const leading = runWithLease({
    client,
    lease: { namespace, name: LEASE },
    holder,
    lead: (signal) => runLiveness({ client, machines, clock, log, signal }),
    signal: stop.signal,
    log,
  });
  return {
    advertised,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all([leading, advertised]);
    },
  };
}

/** The API server may be away when we start. */
async function advertiseUntilDone(
  client: KubeClient,
  namespace: string,
  data: Readonly<Record<string, string>>,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const backoff = new Backoff(200, 10_000, 0.5);
  while (!signal.aborted) {
    try {
      await advertise(client, namespace, data, signal);
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof MeshError)) throw error;
      log.warn("join endpoint not advertised", { error: messageOf(error) });
      await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Says where machines join, for `heddle invite` to read. */
async function advertise(
  client: KubeClient,
  namespace: string,
  data: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const ref = { namespace, name: EXPANSION_CONFIG_MAP };
  try {
    await client.create(CONFIG_MAPS, { metadata: ref, data }, { signal });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    await client.patch(CONFIG_MAPS, ref, { type: "merge", body: { data } }, { signal });
  }
}
