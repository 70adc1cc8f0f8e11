import { X509Certificate } from "node:crypto";
import tls from "node:tls";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { startPortForward } from "@heddle/kube/port-forward";
import type { Pod } from "@heddle/kube/types/core";
import { containerWithPort } from "../diagnostics/pod-metrics.ts";

const ADMIN_PORT = "linkerd-admin";
const LOCAL_NAME = "LINKERD2_PROXY_IDENTITY_LOCAL_NAME";
const HANDSHAKE_MS = 30_000;
/** A chain is never longer; one that goes in circles would be. */
const MAX_CHAIN = 16;

/**
 * The certificates that a pod's proxy presents for its own name, leaf first. They are looked at, not
 * trusted: nothing is sent.
 *
 * @throws MeshError that says why the proxy could not be asked.
 */
export async function presentedCertificates(
  client: KubeClient,
  pod: Pod,
  stop: AbortSignal,
): Promise<readonly X509Certificate[]> {
  const { name = "", namespace = "" } = pod.metadata;
  if (pod.status?.phase !== "Running") {
    const message = `Cannot ask pod ${name}: it is ${pod.status?.phase ?? "Unknown"}, not Running`;
    throw new MeshError("not_running", "client", message);
  }
  const { port } = containerWithPort(pod, ADMIN_PORT);
  const serverName = identityOf(pod);
  await using forward = await startPortForward(client, { namespace, pod: name, port });
  const signal = AbortSignal.any([stop, AbortSignal.timeout(HANDSHAKE_MS)]);
  try {
    return await handshake(forward.port, serverName, signal);
  } catch (cause) {
    const why = messageOf(forward.problem() ?? cause);
    const message = `Cannot get the certificate of pod ${name}: ${why}`;
    throw new MeshError("no_certificate", "server", message, { cause });
  }
}

/** The name that the proxy was given, with what Kubernetes puts into it. */
function identityOf(pod: Pod): string {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const variables = containers.flatMap(({ env }) => env ?? []);
  const value = variables.find(({ name }) => name === LOCAL_NAME)?.value;
  if (value === undefined) {
    const message = `Cannot ask pod ${pod.metadata.name}: no container has ${LOCAL_NAME}`;
    throw new MeshError("no_identity", "client", message);
  }
  return value
    .replaceAll("$(_pod_sa)", pod.spec?.serviceAccountName ?? "default")
    .replaceAll("$(_pod_ns)", pod.metadata.namespace ?? "");
}

function handshake(
  port: number,
  servername: string,
  signal: AbortSignal,
): Promise<readonly X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false });
    const onAbort = (): void => {
      socket.destroy(new MeshError("no_answer", "server", "no handshake in time"));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", reject);
    socket.once("close", () => {
      signal.removeEventListener("abort", onAbort);
      // After `secureConnect` or `error` this changes nothing.
      reject(new MeshError("no_handshake", "server", "the proxy closed the connection"));
    });
    socket.once("secureConnect", () => {
      const chain = chainOf(socket.getPeerCertificate(true));
      // Ended in order, so that the proxy notes no broken handshake.
      socket.end(() => {
        resolve(chain);
        socket.destroy();
      });
    });
  });
}

function chainOf(leaf: tls.DetailedPeerCertificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: tls.DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    // A root is its own issuer.
    if (next.issuerCertificate === next) break;
    next = next.issuerCertificate;
  }
  return chain;
}
