import type { Expansion } from "@heddle/api/gen/expansion_pb";
import type { ControlService } from "@heddle/inject/proxy-env";
import type { Handlers } from "@heddle/net/grpc/handlers";
import { answered } from "../grpc-refusal.ts";
import type { IssuerSource } from "../identity/issuer-source.ts";
import { type Admission, type Machines, REPORT_EVERY_MS } from "./machines.ts";

/** What a machine is told of the mesh when it joins. */
export interface MeshFacts {
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly controlNamespace: string;
  readonly clusterNetworks: readonly string[];
  readonly destination: ControlService;
  readonly policy: ControlService;
  readonly identity: ControlService;
}

/** The gRPC face of `Machines`. Identities come from the connection, never from a message. */
export function expansionHandlers(
  machines: Machines,
  issuers: IssuerSource,
  facts: MeshFacts,
): Handlers<typeof Expansion> {
  return {
    join: async (request, { signal }) => {
      const { id, secret, certificateSigningRequest: csr, addresses } = request;
      const admission = await answered(machines.join({ id, secret, csr, addresses }, signal));
      const { spec } = admission.workload;
      return {
        ...facts,
        clusterNetworks: [...facts.clusterNetworks],
        svid: svidOf(admission),
        anchors: issuers.anchorsPem,
        serverName: admission.serverName,
        ports: (spec.ports ?? []).map(({ name, port }) => ({ name: name ?? "", port })),
      };
    },

    renew: async ({ certificateSigningRequest: csr }, { peer, signal }) =>
      svidOf(await answered(machines.renew(peer.identity, csr, signal))),

    report: async ({ ready, message }, { peer, signal }) => {
      await answered(machines.report(peer.identity, { isReady: ready, message }, signal));
      return { nextReportMs: REPORT_EVERY_MS };
    },

    leave: async (_request, { peer, signal }) => {
      await answered(machines.leave(peer.identity, signal));
      return {};
    },
  };
}

function svidOf({ spiffeId, issued }: Admission): {
  spiffeId: string;
  chain: Uint8Array[];
  notAfter: bigint;
} {
  return {
    spiffeId,
    chain: [issued.leaf, ...issued.intermediates],
    notAfter: BigInt(Math.floor(issued.notAfterMs / 1000)),
  };
}
