/** Our pair: a real mesh with policy, routes, balancing and metrics, as `heddle up` runs it. */
import { join } from "node:path";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { type Member, type MemberOptions, startMember } from "@heddle/cli/member";
import { startMesh } from "@heddle/cli/mesh";
import { NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { type Block, LOOPBACK_MESH } from "../e2e/demo/addresses.ts";
import { configure, type Places, pinned } from "./peers.ts";
import { pin } from "./process-cost.ts";

const NAMESPACE = "bench";
export const HOSTS = { web: 11, stream: 12, client: 51, peer: 61 } as const;
export const PORTS = { http: 8080, grpc: 8081, stream: 7070 } as const;
export const AUTHORITY: string = `web.${NAMESPACE}.svc.cluster.local:${PORTS.http}`;

export interface MeshPair extends AsyncDisposable {
  readonly client: Member;
  readonly web: Member;
  readonly stream: Member;
  /** The last lines of every process, for when something fails. */
  readonly lines: readonly string[];
}

/** Starts the mesh, the applications and a client without a program of its own. */
export async function startMeshPair(
  core: number,
  block: Block,
  places: Places,
  stop: AbortSignal,
): Promise<MeshPair> {
  await using parts = new AsyncDisposableStack();
  const lines: string[] = [];
  const onLine = (who: string, line: string): void => {
    lines.push(`${who}: ${line}`);
    if (lines.length > 200) lines.shift();
  };
  const log = Log.root({
    filter: "info",
    uptimeMs: () => process.uptime() * 1_000,
    write: (line) => onLine("bench", line),
  });
  const mesh = parts.use(
    await startMesh({
      dataDir: join(places.folder, "mesh"),
      apiserverIp: block.mesh(2),
      controlIp: block.mesh(3),
      loopbackMesh: LOOPBACK_MESH,
      clock: systemClock,
      log,
      onLine,
      stop,
    }),
  );
  const { client } = mesh;
  await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  await client.create(SERVICES, {
    ...meta("web"),
    spec: {
      selector: { app: "web" },
      ports: [
        { name: "http", port: PORTS.http, targetPort: PORTS.http },
        { name: "grpc", port: PORTS.grpc, targetPort: PORTS.grpc },
      ],
    },
  });
  await client.create(SERVICES, {
    ...meta("stream", { "config.linkerd.io/opaque-ports": String(PORTS.stream) }),
    spec: {
      selector: { app: "stream" },
      ports: [{ name: "stream", port: PORTS.stream, targetPort: PORTS.stream }],
    },
  });
  const start = (
    name: keyof typeof HOSTS,
    more: Pick<MemberOptions, "ports" | "command" | "env" | "listeners">,
  ): Promise<Member> =>
    startMember({
      mesh,
      namespace: NAMESPACE,
      name,
      serviceAccount: name,
      labels: { app: name },
      ip: block.mesh(HOSTS[name]),
      appIp: block.app(HOSTS[name]),
      folder: join(places.folder, name),
      log,
      onLine,
      stop,
      ...more,
    });
  const server = { listeners: [], env: { PATH: `${process.env["PATH"]}:/usr/sbin` } };
  const web = parts.use(
    await start("web", {
      ...server,
      ports: [
        { name: "http", port: PORTS.http },
        { name: "grpc", port: PORTS.grpc },
      ],
      command: pinned(core, ["nginx", "-c", configure("app.conf", places)]),
    }),
  );
  const stream = parts.use(
    await start("stream", {
      listeners: [],
      env: { HOST: places.stream, PORT: String(PORTS.stream) },
      ports: [{ name: "stream", port: PORTS.stream }],
      command: pinned(core, [process.execPath, join(import.meta.dirname, "stream-server.ts")]),
    }),
  );
  const caller = parts.use(
    await start("client", {
      env: {},
      ports: [],
      command: ["sleep", "infinity"],
      listeners: (["web", "web", "stream"] as const).map((service, at) => {
        const port = Object.values(PORTS)[at]!;
        return {
          listen: `${block.app(HOSTS.client)}:${port}`,
          authority: `${service}.${NAMESPACE}.svc.cluster.local:${port}`,
        };
      }),
    }),
  );
  await createPolicies(mesh.client, caller.identity);
  for (const { proxy } of [web, stream, caller]) pin(core, proxy.pid!);
  const all = parts.move();
  return {
    client: caller,
    web,
    stream,
    lines,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const meta = (name: string, annotations: Readonly<Record<string, string>> = {}): KubeObject => ({
  metadata: { namespace: NAMESPACE, name, annotations },
});

type Client = Parameters<typeof startMember>[0]["mesh"]["client"];

/** A route of the Service, and one of the Server that only the caller may use. */
async function createPolicies(client: Client, callerId: string): Promise<void> {
  const matches = [{ path: { type: "PathPrefix", value: "/" } }] as const;
  await client.create(POLICY_HTTP_ROUTES, {
    ...meta("web-outbound"),
    spec: {
      parentRefs: [{ group: "core", kind: "Service", name: "web", port: PORTS.http }],
      rules: [{ matches, backendRefs: [{ name: "web", port: PORTS.http }] }],
    },
  });
  await client.create(MESH_TLS_AUTHENTICATIONS, {
    ...meta("caller"),
    spec: { identities: [callerId] },
  });
  await client.create(SERVERS, {
    ...meta("web"),
    spec: {
      port: PORTS.http,
      proxyProtocol: "HTTP/1",
      podSelector: { matchLabels: { app: "web" } },
    },
  });
  await client.create(POLICY_HTTP_ROUTES, {
    ...meta("web-inbound"),
    spec: {
      parentRefs: [{ group: "policy.linkerd.io", kind: "Server", name: "web" }],
      rules: [{ matches }],
    },
  });
  await client.create(AUTHORIZATION_POLICIES, {
    ...meta("web"),
    spec: {
      targetRef: { group: "policy.linkerd.io", kind: "HTTPRoute", name: "web-inbound" },
      requiredAuthenticationRefs: [
        { group: "policy.linkerd.io", kind: "MeshTLSAuthentication", name: "caller" },
      ],
    },
  });
}
