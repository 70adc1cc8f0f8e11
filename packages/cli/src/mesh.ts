import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get as httpGet } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "@heddle/base/clock";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { type MeshSettings, serviceAccountIdentity } from "@heddle/inject/proxy-env";
import { KubeClient } from "@heddle/kube/client";
import { parseKubeconfig } from "@heddle/kube/kubeconfig";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import { selfCommand } from "./self.ts";

export interface MeshOptions {
  readonly dataDir: string;
  readonly apiserverIp: string;
  readonly controlIp: string;
  /** HEDDLE_LOOPBACK_MESH; empty for none. */
  readonly loopbackMesh: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes the children's own lines. */
  readonly onLine: (process: string, line: string) => void;
  readonly stop: AbortSignal;
}

/** A process that is kept running; what `Supervised` of the agent gives. */
export interface MeshProcess {
  readonly pid: number | undefined;
  readonly restarts: number;
  kill(signal: NodeJS.Signals): void;
  /** Kills it and keeps it down until `start`. */
  halt(): Promise<void>;
  start(): void;
  /** One line to its standard input. */
  write(line: string): boolean;
}

/** A mesh whose control plane runs as our children. */
export interface Mesh extends AsyncDisposable {
  readonly client: KubeClient;
  /** For kubectl. */
  readonly kubeconfigPath: string;
  readonly settings: MeshSettings;
  readonly apiserver: MeshProcess;
  readonly control: MeshProcess;
  /** Resolves when the control plane answers as ready. */
  controlReady(): Promise<void>;
}

const API_PORT = 6443;
const ADMIN_PORT = 9990;
const WEBHOOK_PORT = 8443;
const POLICY_WEBHOOK_PORT = 9443;
const START_MS = 30_000;
const STOP_MS = 10_000;
const CONTROL_NAMESPACE = "linkerd";
const TRUST_DOMAIN = "cluster.local";

/** Starts an API server and a control plane as supervised children, and what they need to begin. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { dataDir, apiserverIp, controlIp, loopbackMesh, log, clock, stop } = options;
  const { Supervised } = await import("@heddle/agent/supervisor");
  await using parts = new AsyncDisposableStack();
  const start = (name: string, more: readonly string[], env: Record<string, string>) => {
    const { command, args } = selfCommand(name);
    const child = new Supervised(
      {
        name,
        command,
        args: [...args, name, ...more],
        env: { ...inherited(), ...env, HEDDLE_LOOPBACK_MESH: loopbackMesh },
        onLine: (line) => options.onLine(name, line),
      },
      log,
    );
    parts.defer(() => child.close(STOP_MS));
    return child;
  };
  const apiFolder = join(dataDir, "apiserver");
  mkdirSync(apiFolder, { recursive: true, mode: 0o700 });
  const apiserver = start(
    "apiserver",
    ["--data-dir", apiFolder, "--host", apiserverIp, "--port", String(API_PORT)],
    {},
  );
  const kubeconfigPath = join(apiFolder, "admin.kubeconfig");
  const client = await eventually("the API server", stop, async () => {
    const cluster = parseKubeconfig(readFileSync(kubeconfigPath, "utf8"), apiFolder);
    const candidate = new KubeClient({ cluster, userAgent: "heddle-up" });
    await candidate.list(NAMESPACES, {
      signal: AbortSignal.any([stop, AbortSignal.timeout(2_000)]),
    });
    return candidate;
  });
  await bootstrap(client, dataDir, clock);
  const webhookFolder = join(dataDir, "webhooks");
  await bootstrapValidators(client, webhookFolder, controlIp, clock);
  const control = start("control", [], {
    HEDDLE_CONTROL_ROLES: "identity,destination,policy,expansion,sp-validator,policy-validator",
    HEDDLE_CONTROL_WEBHOOK_TLS_DIR: webhookFolder,
    HEDDLE_CONTROL_POLICY_WEBHOOK_TLS_DIR: webhookFolder,
    HEDDLE_CONTROL_KUBECONFIG: join(apiFolder, "control.kubeconfig"),
    HEDDLE_CONTROL_LISTEN_IP: controlIp,
    HEDDLE_CONTROL_IDENTITY_TRUST_DOMAIN: TRUST_DOMAIN,
  });
  const controlReady = (): Promise<void> =>
    eventually("the control plane", stop, () => isReady(controlIp, ADMIN_PORT));
  await controlReady();
  const settings = await readSettings(client, controlIp, loopbackMesh);
  const all = parts.move();
  return {
    client,
    kubeconfigPath,
    settings,
    apiserver,
    control,
    controlReady,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** What children see of our environment: enough to find programs and homes, and their logs' level. */
function inherited(): Record<string, string> {
  const names = [
    "PATH",
    "HOME",
    "HEDDLE_LOG",
    "HEDDLE_LOG_FORMAT",
    "NODE_COMPILE_CACHE",
    "NO_COLOR",
  ];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Definitions and trust, unless they are there from an earlier run. */
async function bootstrap(client: KubeClient, dataDir: string, clock: Clock): Promise<void> {
  const { installDefinitions } = await import("@heddle/control/crds/install");
  const { createTrust, installTrust } = await import("@heddle/control/identity/bootstrap");
  await installDefinitions(client);
  const trust = await createTrust({
    controlNamespace: CONTROL_NAMESPACE,
    trustDomain: TRUST_DOMAIN,
    clock,
  });
  if (!(await installTrust(client, CONTROL_NAMESPACE, trust))) return;
  // Needed to make the next issuer, by whoever owns this folder and by nobody else.
  writeFileSync(join(dataDir, "trust-anchor.key"), trust.anchorKeyPem, { mode: 0o600 });
}

/**
 * Has the API server ask our control plane about policies and profiles. While that is down they are
 * taken unseen, as by default under Kubernetes: nobody shall be locked out of a mesh in trouble.
 */
async function bootstrapValidators(
  client: KubeClient,
  folder: string,
  controlIp: string,
  clock: Clock,
): Promise<void> {
  const { createWebhookCertificate, installValidators } = await import(
    "@heddle/control/webhook/install"
  );
  const caPem = await createWebhookCertificate(folder, controlIp, clock);
  const host = controlIp.includes(":") ? `[${controlIp}]` : controlIp;
  const urls = {
    policyUrl: `https://${host}:${POLICY_WEBHOOK_PORT}/`,
    profileUrl: `https://${host}:${WEBHOOK_PORT}/`,
  };
  await installValidators(client, { ...urls, caPem }, "Ignore");
}

async function readSettings(
  client: KubeClient,
  controlIp: string,
  loopbackMesh: string,
): Promise<MeshSettings> {
  const roots = await client.get(CONFIG_MAPS, {
    namespace: CONTROL_NAMESPACE,
    name: "linkerd-identity-trust-roots",
  });
  const base = { controlNamespace: CONTROL_NAMESPACE, trustDomain: TRUST_DOMAIN };
  const name = (account: string): string =>
    serviceAccountIdentity(base, CONTROL_NAMESPACE, account);
  return {
    ...base,
    clusterDomain: "cluster.local",
    trustAnchors: roots.data?.["ca-bundle.crt"] ?? "",
    clusterNetworks: [loopbackMesh, "10.0.0.0/8"].filter((network) => network !== ""),
    loopbackMesh,
    destination: { address: `${controlIp}:8086`, name: name("linkerd-destination") },
    policy: { address: `${controlIp}:8090`, name: name("linkerd-destination") },
    identity: { address: `${controlIp}:8080`, name: name("linkerd-identity") },
  };
}

/** Whether `/ready` answers 200. @throws if it does not. */
export function isReady(ip: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = httpGet({ host: ip, port, path: "/ready", timeout: 2_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`not ready: ${body.trim()}`));
      });
    });
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
  });
}

/** Tries again and again, for as long as a start may take. */
export async function eventually<T>(
  what: string,
  stop: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (stop.aborted) throw error;
      if (performance.now() > deadline) {
        const message = `Cannot wait longer for ${what}: ${messageOf(error)}`;
        throw new MeshError("start_timeout", "self", message, { cause: error });
      }
      await sleep(50, undefined, { signal: stop });
    }
  }
}
