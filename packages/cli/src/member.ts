import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import {
  ADMIN_PORT,
  type DeclaredListener,
  INBOUND_PORT,
  proxyEnvironment,
  serviceAccountIdentity,
  TAP_PORT,
} from "@heddle/inject/proxy-env";
import { requestToken } from "@heddle/kube/account-token";
import { hasReason } from "@heddle/kube/errors";
import { PODS, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { eventually, isReady, type Mesh, type MeshProcess } from "./mesh.ts";
import { selfCommand } from "./self.ts";

export interface MemberOptions {
  readonly mesh: Mesh;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where the mesh reaches it; its proxy binds this address. */
  readonly ip: string;
  /** Where the application listens; nobody but its proxy is to go there. */
  readonly appIp: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly listeners: readonly DeclaredListener[];
  /** The application: command and arguments, and variables beside our own. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Starts the proxy. Default: this CLI. */
  readonly proxyCommand?: readonly string[];
  /** For keys and tokens. */
  readonly folder: string;
  readonly log: Log;
  readonly onLine: (process: string, line: string) => void;
  readonly stop: AbortSignal;
}

/** A program with its sidecar, known to the store as a Pod. */
export interface Member extends AsyncDisposable {
  readonly name: string;
  readonly identity: string;
  readonly app: MeshProcess;
  readonly proxy: MeshProcess;
}

/** Linkerd's audience for the tokens that identity takes. */
const TOKEN_AUDIENCE = "identity.l5d.io";
const TOKEN_SECONDS = 86_400;
const PROBE_MS = 500;
const STOP_MS = 3_000;

/**
 * Runs a program as a member of a mesh without Kubernetes: what kubelet, the injector and the
 * probes do elsewhere, for one pod.
 */
export async function startMember(options: MemberOptions): Promise<Member> {
  const { mesh, namespace, name, serviceAccount, ip, ports, folder, log, stop } = options;
  const { client, settings } = mesh;
  const { Supervised } = await import("@heddle/agent/supervisor");
  await using parts = new AsyncDisposableStack();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await register(options);
  parts.defer(async () => {
    await client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0 }).catch((error) => {
      log.warn("cannot remove pod", { name, error: messageOf(error) });
    });
  });
  const tokenFile = join(folder, "token");
  const account = { namespace, name: serviceAccount };
  const token = await requestToken(client, account, [TOKEN_AUDIENCE], TOKEN_SECONDS);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  const identity = serviceAccountIdentity(settings, namespace, serviceAccount);
  const path = { PATH: process.env["PATH"] ?? "" };
  const self = selfCommand();
  const proxyCommand = options.proxyCommand ?? [self.command, ...self.args, "proxy"];
  const proxy = new Supervised(
    {
      name: `${name} proxy`,
      command: proxyCommand[0]!,
      args: proxyCommand.slice(1),
      env: {
        ...path,
        ...compileCache(),
        ...proxyEnvironment(settings, {
          ip,
          appIp: options.appIp,
          ports: ports.map(({ port }) => port),
          workload: { ns: namespace, pod: name },
          listeners: options.listeners,
          identity: { kind: "certify", folder, tokenFile, localName: identity },
        }),
      },
      onLine: (line) => options.onLine(`${name} proxy`, line),
    },
    log,
  );
  parts.defer(() => proxy.close(STOP_MS));
  const [program, ...rest] = options.command;
  const app = new Supervised(
    {
      name,
      command: program!,
      args: rest,
      env: { ...path, ...compileCache(), ...options.env },
      onLine: (line) => options.onLine(name, line),
    },
    log,
  );
  parts.defer(() => app.close(STOP_MS));
  const readiness = new AbortController();
  const probing = keepProbed(options, AbortSignal.any([stop, readiness.signal]));
  parts.defer(async () => {
    readiness.abort();
    await probing;
  });
  await eventually(`the proxy of ${name}`, stop, () => isReady(ip, ADMIN_PORT));
  const all = parts.move();
  return { name, identity, app, proxy, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Compiled code is shared by all processes of a run. */
function compileCache(): Record<string, string> {
  const folder = process.env["NODE_COMPILE_CACHE"];
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
}

/** The Pod as a kubelet would have it, with the sidecar that an injector would add. */
async function register(options: MemberOptions): Promise<void> {
  const { namespace, name, serviceAccount, labels, ip, ports } = options;
  const { client, settings } = options.mesh;
  await createUnlessThere(() =>
    client.create(SERVICE_ACCOUNTS, { metadata: { namespace, name: serviceAccount } }),
  );
  await client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0 });
  await client.create(PODS, {
    metadata: {
      namespace,
      name,
      labels: {
        ...labels,
        "linkerd.io/control-plane-ns": settings.controlNamespace,
      },
    },
    spec: {
      serviceAccountName: serviceAccount,
      containers: [
        {
          name: "app",
          ports: ports.map((port) => ({ name: port.name, containerPort: port.port })),
        },
        {
          name: "linkerd-proxy",
          ports: [{ name: "linkerd-proxy", containerPort: INBOUND_PORT }],
          env: [
            { name: "LINKERD2_PROXY_INBOUND_LISTEN_ADDR", value: `${ip}:${INBOUND_PORT}` },
            { name: "LINKERD2_PROXY_ADMIN_LISTEN_ADDR", value: `${ip}:${ADMIN_PORT}` },
            { name: "LINKERD2_PROXY_CONTROL_LISTEN_ADDR", value: `${ip}:${TAP_PORT}` },
          ],
        },
      ],
    },
  });
}

/** Connects to the application, asks its proxy, and keeps the Pod's conditions true. */
async function keepProbed(options: MemberOptions, signal: AbortSignal): Promise<void> {
  const { mesh, namespace, name, ip, appIp, ports, log } = options;
  let known: boolean | undefined;
  while (!signal.aborted) {
    const answers = await Promise.all([
      isReady(ip, ADMIN_PORT).then(
        () => true,
        () => false,
      ),
      ...ports.map(({ port }) => takesConnections(appIp, port)),
    ]);
    const ready = answers.every(Boolean);
    if (ready !== known && !signal.aborted) {
      const status = ready ? "True" : "False";
      const body = {
        status: {
          phase: "Running",
          podIP: ip,
          podIPs: [{ ip }],
          conditions: ["Ready", "ContainersReady"].map((type) => ({ type, status })),
        },
      };
      try {
        const patch = { type: "merge", body } as const;
        await mesh.client.patch(PODS, { namespace, name }, patch, { subresource: "status" });
        known = ready;
      } catch (error) {
        log.warn("cannot tell how a pod is", { name, error: messageOf(error) });
      }
    }
    // Only the signal ends the sleep early, and the loop looks at it.
    await sleep(PROBE_MS, undefined, { signal }).catch(() => undefined);
  }
}

function takesConnections(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

async function createUnlessThere(create: () => Promise<unknown>): Promise<void> {
  try {
    await create();
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}
