import http from "node:http";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { startPortForward } from "@heddle/kube/port-forward";
import type { Container, Pod } from "@heddle/kube/types/core";

/** A larger answer is no proxy's. */
const MAX_BYTES = 64 * 1024 * 1024;

/** A container of a pod with the port that its metrics are at. */
export interface AdminPort {
  readonly pod: Pod;
  readonly container: string;
  readonly port: number;
}

/** What was found at one port: metrics, or why there are none. */
export interface PodMetrics {
  readonly pod: string;
  readonly container: string;
  readonly metrics: string | undefined;
  readonly problem: string | undefined;
}

/** All containers of a pod, with those that start first and, as native sidecars, stay. */
function containersOf(pod: Pod): readonly Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
}

/**
 * The container that has a port of this name.
 *
 * @throws MeshError `no_port`
 */
export function containerWithPort(pod: Pod, portName: string): AdminPort {
  const [found] = portsOf(pod, (name) => name === portName);
  if (found !== undefined) return found;
  const message = `Cannot find port ${portName} of pod ${pod.metadata.name}: no container has it`;
  throw new MeshError("no_port", "client", message);
}

/**
 * Every container with a port whose name ends so; a pod that does not run has none to ask.
 *
 * @throws MeshError `not_running`
 */
export function containersWithSuffix(pod: Pod, suffix: string): readonly AdminPort[] {
  const phase = pod.status?.phase ?? "Unknown";
  if (phase !== "Running") {
    const message = `Cannot ask pod ${pod.metadata.name}: it is ${phase}, not Running`;
    throw new MeshError("not_running", "client", message);
  }
  return portsOf(pod, (name) => name.endsWith(suffix));
}

function portsOf(pod: Pod, isWanted: (name: string) => boolean): readonly AdminPort[] {
  return containersOf(pod).flatMap((container) =>
    (container.ports ?? [])
      .filter(({ name }) => name !== undefined && isWanted(name))
      .map(({ containerPort }) => ({ pod, container: container.name, port: containerPort })),
  );
}

/** Asks all of them at once, within one time, and sorts the answers by pod and container. */
export async function fetchMetrics(
  client: KubeClient,
  targets: readonly AdminPort[],
  waitMs: number,
  stop: AbortSignal,
): Promise<readonly PodMetrics[]> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(waitMs)]);
  const found = await Promise.all(targets.map((target) => fetchOne(client, target, signal)));
  stop.throwIfAborted();
  return found.sort((a, b) =>
    a.pod === b.pod ? compare(a.container, b.container) : compare(a.pod, b.pod),
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

async function fetchOne(
  client: KubeClient,
  { pod, container, port }: AdminPort,
  signal: AbortSignal,
): Promise<PodMetrics> {
  const { name = "", namespace = "" } = pod.metadata;
  await using forward = await startPortForward(client, { namespace, pod: name, port });
  try {
    const metrics = await get(forward.port, signal);
    return { pod: name, container, metrics, problem: undefined };
  } catch (error) {
    const why = signal.aborted ? "no answer in time" : messageOf(forward.problem() ?? error);
    return { pod: name, container, metrics: undefined, problem: why };
  }
}

function get(port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: "/metrics", agent: false, signal };
    const request = http.get(options, (response) => {
      if (response.statusCode !== 200) {
        const state = `the answer is ${response.statusCode}`;
        request.destroy(new MeshError("no_metrics", "server", `Cannot get /metrics: ${state}`));
        return;
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MAX_BYTES) {
          const state = `the answer has more than ${MAX_BYTES} bytes`;
          request.destroy(new MeshError("no_metrics", "server", `Cannot get /metrics: ${state}`));
        }
      });
      response.once("end", () => resolve(Buffer.concat(chunks).toString()));
      response.once("error", reject);
    });
    request.once("error", reject);
  });
}
