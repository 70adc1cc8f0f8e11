import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { toolPath } from "../../scripts/tools.ts";
import { Daemon } from "./daemon.ts";
import { writePki } from "./pki.ts";

/** The programs that `startKubeApi` needs, as `toolPath` knows them. */
export const KUBE_API_TOOLS = ["etcd", "kube-apiserver", "kube-controller-manager"] as const;

/** What a store needs that has no nodes; the others would remove pods of nodes that are not there. */
const CONTROLLERS = [
  "endpoints-controller",
  "endpointslice-controller",
  "garbage-collector-controller",
  "namespace-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
] as const;

/** The last thing that an API server makes when it starts, and that controllers cannot do without. */
export const LAST_ROLE =
  "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/system::extension-apiserver-authentication-reader";

export const READY_MS = 120_000;

export interface KubeApi extends AsyncDisposable {
  /** An administrator's. */
  readonly kubeconfigPath: string;
}

/**
 * A real kube-apiserver with etcd and the controllers that an API alone needs, on loopback: no
 * nodes, no pods that run. `folder` then holds `admin.kubeconfig` and `etcd.url`, which is what the
 * testkit's shared store reads.
 *
 * @param flags - Of kube-apiserver, besides its usual ones.
 */
export async function startKubeApi(
  folder: string,
  flags: Readonly<Record<string, string>> = {},
): Promise<KubeApi> {
  await using parts = new AsyncDisposableStack();
  mkdirSync(join(folder, "log"), { recursive: true });
  const [api, client, peer, manager] = await freePorts(4);
  const pki = join(folder, "pki");
  const etcdUrl = `http://127.0.0.1:${client}`;
  await writePki(pki, `https://127.0.0.1:${api}`);
  const run = (name: string, all: Readonly<Record<string, string>>): Daemon => {
    const args = Object.entries(all).map(([flag, value]) => `--${flag}=${value}`);
    const log = join(folder, "log", `${name}.log`);
    return parts.use(new Daemon(name, [toolPath(name), ...args], log));
  };
  run("etcd", etcdFlags(join(folder, "etcd"), etcdUrl, `http://127.0.0.1:${peer}`));
  const server = run("kube-apiserver", { ...apiserverFlags(pki, api!, etcdUrl), ...flags });
  const kubeconfigPath = join(pki, "admin.kubeconfig");
  using kube = new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) });
  await server.until(() => answers(kube.raw("GET", LAST_ROLE)), READY_MS);
  const controllers = run("kube-controller-manager", managerFlags(pki, manager!));
  const account = { namespace: "default", name: "default" };
  await controllers.until(() => answers(kube.get(SERVICE_ACCOUNTS, account)), READY_MS);
  writeFileSync(join(folder, "etcd.url"), etcdUrl);
  const all = parts.move();
  return { kubeconfigPath, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Of an etcd on loopback that need not survive its machine. */
export function etcdFlags(data: string, client: string, peer: string): Record<string, string> {
  return {
    "data-dir": data,
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
    "unsafe-no-fsync": "true",
  };
}

/** Of an API server on loopback, with what `writePki` wrote. */
export function apiserverFlags(pki: string, port: number, etcd: string): Record<string, string> {
  return {
    "etcd-servers": etcd,
    "bind-address": "127.0.0.1",
    "secure-port": String(port),
    // Must not be loopback; nobody connects to it.
    "advertise-address": "192.0.2.2",
    "endpoint-reconciler-type": "none",
    "tls-cert-file": join(pki, "apiserver.crt"),
    "tls-private-key-file": join(pki, "apiserver.key"),
    "client-ca-file": join(pki, "ca.crt"),
    "service-account-key-file": join(pki, "sa.pub"),
    "service-account-signing-key-file": join(pki, "sa.key"),
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    "service-cluster-ip-range": "10.96.0.0/16,fd00:10:96::/112",
    "authorization-mode": "Node,RBAC",
    "allow-privileged": "true",
    "enable-admission-plugins": "NodeRestriction",
    "requestheader-client-ca-file": join(pki, "ca.crt"),
    "requestheader-allowed-names": "front-proxy",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-username-headers": "X-Remote-User",
    "proxy-client-cert-file": join(pki, "front.crt"),
    "proxy-client-key-file": join(pki, "front.key"),
    profiling: "false",
  };
}

/** Of the controllers that a store without nodes needs. */
export function managerFlags(pki: string, port: number): Record<string, string> {
  const kubeconfig = join(pki, "controllers.kubeconfig");
  return {
    kubeconfig,
    "authentication-kubeconfig": kubeconfig,
    "authorization-kubeconfig": kubeconfig,
    "bind-address": "127.0.0.1",
    "secure-port": String(port),
    "leader-elect": "false",
    controllers: CONTROLLERS.join(","),
    "kube-api-qps": "300",
    "kube-api-burst": "600",
    "service-account-private-key-file": join(pki, "sa.key"),
    "root-ca-file": join(pki, "ca.crt"),
    "use-service-account-credentials": "true",
    profiling: "false",
  };
}

/** Whether a server is there that answers a call. */
export async function answers(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch {
    // Not up yet; whoever waits gives up after a while, with the program's log.
    return false;
  }
}

/** All held at once, so that no two are the same. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    ports.push(address.port);
  }
  for (const server of servers) server.close();
  return ports;
}
