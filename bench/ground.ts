/** All pairs side by side on one core, in front of the same applications. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { freeBlock } from "../e2e/demo/addresses.ts";
import type { Target } from "./load.ts";
import { AUTHORITY, HOSTS, type MeshPair, PORTS, startMeshPair } from "./mesh-pair.ts";
import {
  configure,
  makeCertificates,
  makeSite,
  type Places,
  requirePrograms,
  startPeers,
} from "./peers.ts";

/** Two proxies, one behind the other, with mutual TLS between them. */
export interface Pair {
  readonly name: string;
  readonly http: Target;
  readonly grpc: Target | undefined;
  readonly stream: Target | undefined;
  /** Of both proxies in front of the HTTP application, and of both in front of the stream's. */
  readonly pids: readonly number[];
  readonly streamPids: readonly number[];
}

export interface Ground extends AsyncDisposable {
  readonly core: number;
  readonly folder: string;
  readonly authority: string;
  readonly heddle: Pair;
  readonly haproxy: Pair;
  readonly nginx: Pair;
  readonly mesh: MeshPair;
}

export async function startGround(stop: AbortSignal): Promise<Ground> {
  requirePrograms({
    haproxy: "haproxy",
    wrk: "wrk",
    nginx: "nginx-light",
    h2load: "nghttp2-client",
    openssl: "openssl",
    taskset: "util-linux",
  });
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-bench-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const core = availableParallelism() - 1;
  makeSite(folder);
  makeCertificates(folder);
  const block = await freeBlock();
  const places: Places = {
    folder,
    app: block.app(HOSTS.web),
    stream: block.app(HOSTS.stream),
    peer: block.app(HOSTS.peer),
  };
  const mesh = parts.use(await startMeshPair(core, block, places, stop));
  const peer = (name: string, http: number, grpc?: number, stream?: number) => {
    const at = (port: number | undefined): Target | undefined =>
      port === undefined ? undefined : { host: places.peer, port };
    return (pids: readonly number[]): Pair => ({
      name,
      http: at(http)!,
      grpc: at(grpc),
      stream: at(stream),
      pids,
      streamPids: pids,
    });
  };
  const haproxy = parts.use(
    await startPeers(
      core,
      ["in", "out"].map((side) => ["haproxy", "-f", configure(`haproxy-${side}.cfg`, places)]),
      places.peer,
      9131,
    ),
  );
  const nginx = parts.use(
    await startPeers(
      core,
      ["in", "out"].map((side) => ["nginx", "-c", configure(`nginx-${side}.conf`, places)]),
      places.peer,
      9111,
    ),
  );
  const host = block.app(HOSTS.client);
  const caller = mesh.client.proxy.pid!;
  const heddle: Pair = {
    name: "heddle",
    http: { host, port: PORTS.http },
    grpc: { host, port: PORTS.grpc },
    stream: { host, port: PORTS.stream },
    pids: [caller, mesh.web.proxy.pid!],
    streamPids: [caller, mesh.stream.proxy.pid!],
  };
  const all = parts.move();
  return {
    core,
    folder,
    authority: AUTHORITY,
    heddle,
    haproxy: peer("haproxy", 9131, 9133, 9135)(haproxy.pids),
    nginx: peer("nginx", 9111)(nginx.pids),
    mesh,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
