/**
 * `npm run bench -- control`: 10,000 proxies over mutual TLS, from a process of their own, on a
 * control plane with the embedded store: how soon a change is everywhere, memory, how soon all are
 * served again when they all come back at once, and certificates a minute.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually, type Mesh, startMesh } from "@heddle/cli/mesh";
import { serviceAccountIdentity } from "@heddle/inject/proxy-env";
import { requestToken } from "@heddle/kube/account-token";
import type { KubeClient } from "@heddle/kube/client";
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  PODS,
  type Pod,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import type { KubeObject } from "@heddle/kube/types/meta";
import { type Block, freeBlock, LOOPBACK_MESH } from "../e2e/demo/addresses.ts";
import { type LoadOptions, podName, type Step } from "./control-load.ts";
import { pin, rssMib } from "./process-cost.ts";

const NAMESPACE = "bench";
const ACCOUNT = "load";

interface Scale {
  readonly connections: number;
  readonly services: number;
  readonly endpoints: number;
  readonly changes: number;
  readonly certificates: number;
}

const FULL: Scale = {
  connections: 10_000,
  services: 2_000,
  endpoints: 100_000,
  changes: 2_000,
  certificates: 4_000,
};
const QUICK: Scale = {
  connections: 500,
  services: 200,
  endpoints: 5_000,
  changes: 300,
  certificates: 500,
};
const WATCHED = { services: 10, ports: 3 } as const;
const CHANGES_PER_S = 100;
const SOURCES = 4;
const AT_ONCE = 64;
const CORE = 1;

export async function benchControl(
  isQuick: boolean,
  stop: AbortSignal,
): Promise<Record<string, number>> {
  const scale = isQuick ? QUICK : FULL;
  const folder = mkdtempSync(join(tmpdir(), "heddle-bench-"));
  const lines: string[] = [];
  try {
    await using parts = new AsyncDisposableStack();
    const block = await freeBlock();
    const mesh = parts.use(await startStore(folder, block, lines, stop));
    const seconds = since();
    await populate(mesh.client, scale);
    await eventually("the control plane to have seen all", stop, () =>
      hasSeen(block.mesh(3), { pod: scale.endpoints, endpointslice: scale.services }),
    );
    console.log(
      `${scale.services} Services, ${scale.endpoints} pods: there in ${seconds()} s; embedded store`,
    );
    const load = parts.use(new LoadProcess());
    await load.do({ step: "start", options: await loadOptions(mesh, block, scale) });
    const connectS = await load.do({ step: "connect", atOnce: AT_ONCE });
    console.log(
      `${scale.connections} connections, 13 streams each: served in ${connectS.toFixed(1)} s`,
    );
    const pid = mesh.control.pid!;
    const pushMs = await load.do({
      step: "push",
      changes: scale.changes,
      perSecond: CHANGES_PER_S,
    });
    const rss = rssMib([pid]);
    console.log(`push p99 ${pushMs.toFixed(0)} ms, ${rss.toFixed(0)} MiB`);
    await load.do({ step: "disconnect" });
    const reconnectS = await load.do({ step: "connect", atOnce: scale.connections });
    console.log(`all back at once: served in ${reconnectS.toFixed(1)} s`);
    await load.do({ step: "disconnect" });
    pin(CORE, pid);
    const certs = await load.do({ step: "certify", count: scale.certificates });
    return {
      push_p99_ms: Math.round(pushMs),
      rss_mib: Math.round(rss),
      reconnect_s: Math.round(reconnectS * 10) / 10,
      certs_per_min: Math.round(certs),
    };
  } catch (error) {
    for (const line of lines.slice(-20)) console.error(line);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function since(): () => string {
  const started = performance.now();
  return () => ((performance.now() - started) / 1000).toFixed(0);
}

async function startStore(
  folder: string,
  block: Block,
  lines: string[],
  stop: AbortSignal,
): Promise<Mesh> {
  const onLine = (who: string, line: string): void => {
    lines.push(`${who}: ${line}`);
    if (lines.length > 200) lines.shift();
  };
  return startMesh({
    dataDir: folder,
    apiserverIp: block.mesh(2),
    controlIp: block.mesh(3),
    loopbackMesh: LOOPBACK_MESH,
    clock: systemClock,
    log: Log.root({
      filter: "warn",
      uptimeMs: () => performance.now(),
      write: (line) => onLine("bench", line),
    }),
    onLine,
    stop,
  });
}

async function populate(client: KubeClient, scale: Scale): Promise<void> {
  const { services, endpoints } = scale;
  await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  await client.create(SERVICE_ACCOUNTS, { metadata: { name: ACCOUNT, namespace: NAMESPACE } });
  await each(endpoints, async (i) => {
    const created = await client.create(PODS, pod(i));
    const ip = podIp(i);
    const status = { phase: "Running", podIP: ip, podIPs: [{ ip }] } as const;
    await client.update(PODS, { ...created, status }, { subresource: "status" });
  });
  const perService = endpoints / services;
  await each(services, async (i) => {
    const name = `svc-${i}`;
    await client.create(SERVICES, {
      metadata: { name, namespace: NAMESPACE },
      spec: { ports: [{ name: "http", port: 80, targetPort: 8_080 }] },
    });
    const targets = Array.from({ length: perService }, (_, n) => i * perService + n);
    await client.create(ENDPOINT_SLICES, {
      metadata: {
        name: `${name}-a`,
        namespace: NAMESPACE,
        labels: { "kubernetes.io/service-name": name },
      },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8_080, protocol: "TCP" }],
      endpoints: targets.map((target) => ({
        addresses: [podIp(target)],
        conditions: { ready: true },
        targetRef: { kind: "Pod", name: podName(target), namespace: NAMESPACE },
      })),
    });
  });
}

/** @throws Error if destination's caches do not hold so many objects. */
async function hasSeen(ip: string, sizes: Readonly<Record<string, number>>): Promise<void> {
  const answer = await fetch(`http://${ip}:9996/metrics`);
  const text = await answer.text();
  for (const [kind, size] of Object.entries(sizes)) {
    const known = new RegExp(`^${kind}_cache_size{[^}]*} (\\d+)$`, "m").exec(text)?.[1];
    if (Number(known) < size) throw new Error(`${known} objects of kind ${kind}`);
  }
}

function podIp(index: number): string {
  return `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

function pod(index: number): Pod & KubeObject {
  const proxy = (name: string, port: number): object => ({
    name: `LINKERD2_PROXY_${name}_LISTEN_ADDR`,
    value: `0.0.0.0:${port}`,
  });
  return {
    metadata: {
      name: podName(index),
      namespace: NAMESPACE,
      labels: { app: `svc-${index % 100}`, "linkerd.io/control-plane-ns": "linkerd" },
    },
    spec: {
      serviceAccountName: ACCOUNT,
      nodeName: "node",
      containers: [
        {
          name: "app",
          image: "app",
          ports: [8_080, 8_081, 8_082].map((port) => ({ containerPort: port, protocol: "TCP" })),
        },
        {
          name: "linkerd-proxy",
          image: "proxy",
          env: [proxy("INBOUND", 4143), proxy("ADMIN", 4191), proxy("CONTROL", 4190)],
        },
      ],
    },
  } as unknown as Pod & KubeObject;
}

async function each(count: number, make: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
}

async function loadOptions(mesh: Mesh, block: Block, scale: Scale): Promise<LoadOptions> {
  const { settings, client, kubeconfigPath } = mesh;
  const account = { namespace: NAMESPACE, name: ACCOUNT };
  const token = await requestToken(client, account, ["identity.l5d.io"]);
  return {
    kubeconfig: kubeconfigPath,
    controlIp: block.mesh(3),
    anchors: settings.trustAnchors,
    names: {
      client: serviceAccountIdentity(settings, NAMESPACE, ACCOUNT),
      destination: settings.destination.name,
      identity: settings.identity.name,
    },
    token,
    namespace: NAMESPACE,
    connections: scale.connections,
    services: scale.services,
    pods: scale.endpoints,
    watchedServices: WATCHED.services,
    watchedPorts: WATCHED.ports,
    sources: Array.from({ length: SOURCES }, (_, n) => block.mesh(100 + n)),
  };
}

/** The process with the connections: one step at a time. */
class LoadProcess implements AsyncDisposable {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, "control-load.ts"), {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });

  do(step: Step): Promise<number> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error(`the load ended during "${step.step}"`));
      this.#child.once("exit", onExit);
      this.#child.once("message", (message) => {
        this.#child.off("exit", onExit);
        const { figure, error } = message as { figure?: number; error?: string };
        if (figure === undefined) reject(new Error(`${step.step}: ${error}`));
        else resolve(figure);
      });
      this.#child.send(step);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await gone;
  }
}
