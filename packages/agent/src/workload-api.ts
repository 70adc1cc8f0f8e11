import { chmodSync, chownSync } from "node:fs";
import { SpiffeWorkloadAPI } from "@heddle/api/gen/workload_pb";
import type { Log } from "@heddle/base/log";
import { GrpcError } from "@heddle/net/grpc/error";
import { GrpcServer } from "@heddle/net/grpc/server";
import { GrpcStatus } from "@heddle/net/grpc/status";
import { type Http2Server, serveHttp2 } from "@heddle/net/http2/server";
import { startListener } from "@heddle/net/listener";
import { type SvidHolder, workloadSvid } from "./svid.ts";

export interface WorkloadApiOptions {
  readonly path: string;
  readonly svids: SvidHolder;
  /** Users who may have the identity; what the socket's mode lets through is asked again. */
  readonly allowedUids: readonly number[];
  /** A group that may have it too, whoever its members are. The socket becomes the group's. */
  readonly allowedGid?: number;
  readonly log: Log;
}

/**
 * Serves the machine's SVID on a unix socket, as SPIFFE's Workload API: a message at once and one
 * whenever it changes. Callers are known by the credentials that the kernel gives.
 */
export async function startWorkloadApi(options: WorkloadApiOptions): Promise<AsyncDisposable> {
  const { path, svids, allowedUids, allowedGid, log } = options;
  const grpc = new GrpcServer({ log });
  grpc.add(SpiffeWorkloadAPI, {
    async *fetchX509SVID(_request, { metadata, peer, signal }) {
      if (metadata.get("workload.spiffe.io") !== "true") {
        const message = "the metadata workload.spiffe.io: true is missing";
        throw new GrpcError(GrpcStatus.invalidArgument, message);
      }
      const who = peer.credentials;
      const isAllowed =
        who !== undefined && (allowedUids.includes(who.uid) || allowedGid === who.gid);
      if (!isAllowed) {
        log.warn("identity refused to a local process", { uid: who?.uid, pid: who?.pid });
        throw new GrpcError(GrpcStatus.permissionDenied, "no identity issued");
      }
      let sent: unknown;
      while (!signal.aborted) {
        // Compared right before waiting: it may have changed while the last one was written.
        if (sent === svids.current) {
          await svids.changed(signal);
          continue;
        }
        sent = svids.current;
        yield { svids: [workloadSvid(svids.current)] };
      }
    },
  });
  const connections = new Set<Http2Server>();
  const listener = await startListener({ at: { path, mode: 0o600 }, log }, (socket, accepted) => {
    const service = grpc.forPeer({ credentials: accepted.credentials });
    const connection: Http2Server = serveHttp2(socket, service, {
      maxConcurrentStreams: 100,
      onClose: () => connections.delete(connection),
    });
    connections.add(connection);
  });
  if (allowedGid !== undefined) {
    chownSync(path, process.getuid!(), allowedGid);
    chmodSync(path, 0o660);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await listener.close();
      await grpc.close();
      await Promise.all([...connections].map((connection) => connection.close(1_000)));
    },
  };
}
