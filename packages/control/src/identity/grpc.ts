import { Identity } from "@heddle/api/gen/identity_pb";
import type { GrpcServer } from "@heddle/net/grpc/server";
import { asGrpcError } from "../grpc-refusal.ts";
import type { Certifier } from "./certify.ts";

/** Puts the certifier behind `io.linkerd.proxy.identity.Identity`. */
export function addIdentity(server: GrpcServer, certifier: Certifier): void {
  server.add(Identity, {
    certify: async ({ identity, token, certificateSigningRequest: csr }, { signal }) => {
      try {
        const issued = await certifier.certify({ identity, token, csr }, signal);
        return {
          leafCertificate: issued.leaf,
          intermediateCertificates: [...issued.intermediates],
          validUntil: { seconds: BigInt(issued.notAfterMs / 1_000), nanos: 0 },
        };
      } catch (error) {
        throw asGrpcError(error);
      }
    },
  });
}
