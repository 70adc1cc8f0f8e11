import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { OUTSIDE_IP } from "../node-config.ts";
import { client, meshed, nginx, service } from "./objects.ts";
import { object, POLICY } from "./policies.ts";

const AT = "egress-routes";
const HOST = "outside.test";
/** An address of nobody, outside the cluster. */
const NOBODY = "203.0.113.200";
const EGRESS = { group: POLICY, kind: "EgressNetwork", name: "all" };
const DENIED = object("v1alpha1", "EgressNetwork", AT, "all", { trafficPolicy: "Deny" });

function route(kind: "TLSRoute" | "TCPRoute", port: number, backend: object): object {
  return {
    apiVersion: "gateway.networking.k8s.io/v1alpha2",
    kind,
    metadata: { namespace: AT, name: "route" },
    spec: {
      parentRefs: [{ ...EGRESS, port }],
      ...(kind === "TLSRoute" ? { hostnames: [HOST] } : {}),
      rules: [{ backendRefs: [backend] }],
    },
  };
}

/** A Service whose one endpoint is the server that is not in the cluster, for TLS. */
function tlsService(): object[] {
  const port = { name: "tls", port: 443, protocol: "TCP" };
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: AT, name: "tls" },
      spec: { ports: [port] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        namespace: AT,
        name: "tls",
        labels: { "kubernetes.io/service-name": "tls" },
      },
      addressType: "IPv4",
      ports: [port],
      endpoints: [{ addresses: [OUTSIDE_IP], conditions: { ready: true } }],
    },
  ];
}

/** Where connections go that leave the cluster, by routes of TLS and of TCP. */
export function egressRouteTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. After `egressTests`, which start what is outside. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().startOutside();
      await mesh().apply(
        meshed(AT),
        ...client(AT, "curl"),
        ...nginx(AT, "web"),
        service(AT, "web"),
        ...tlsService(),
      );
      await mesh().ready(AT, "curl", "web");
    })();
    return started;
  };
  /** What curl ends with, and the body and status that it got. */
  const ask = async (
    url: string,
    { host, ip }: { readonly host: string; readonly ip: string },
  ): Promise<{ code: number; out: string }> => {
    const resolve = [80, 443].flatMap((port) => ["--resolve", `${host}:${port}:${ip}`]);
    const flags = ["-sk", "--max-time", "5", "-w", "%{http_code}"];
    return await mesh().run(AT, "curl", ["curl", ...flags, ...resolve, url]);
  };
  const outside = { host: HOST, ip: OUTSIDE_IP };
  const answers = (url: string, expected: string, ip = OUTSIDE_IP): Promise<void> =>
    eventually(url, NEVER, async () =>
      assert.equal((await ask(url, { host: HOST, ip })).out, expected),
    );
  const isRefused = async (url: string, to: { host: string; ip: string }): Promise<void> => {
    const { code, out } = await ask(url, to);
    // Refused or broken off in the handshake, and not given up waiting.
    assert.ok([7, 35, 56].includes(code), `${code} ${out}`);
    assert.equal(out, "000");
  };

  test("[E217] a TLSRoute lets one server name out, and no other", { skip }, async () => {
    await start();
    const items = [DENIED, route("TLSRoute", 443, { ...EGRESS, port: 443 })];
    await mesh().with(items, async () => {
      await answers(`https://${HOST}/`, "outside\n200");
      await isRefused("https://other.test/", { host: "other.test", ip: OUTSIDE_IP });
    });
  });

  test("[E218] a TCPRoute lets one port out, and no other", { skip }, async () => {
    await start();
    const items = [DENIED, route("TCPRoute", 443, { ...EGRESS, port: 443 })];
    await mesh().with(items, async () => {
      await answers(`https://${HOST}/`, "outside\n200");
      assert.match((await ask(`http://${HOST}/`, outside)).out, /403$/);
    });
  });

  test("[E220] a TLSRoute leads a server name back to a Service", { skip }, async () => {
    await start();
    const items = [DENIED, route("TLSRoute", 443, { name: "tls", port: 443 })];
    await mesh().with(items, async () => {
      await answers(`https://${HOST}/`, "outside\n200", NOBODY);
      await isRefused("https://other.test/", { host: "other.test", ip: NOBODY });
    });
  });

  test("[E221] a TCPRoute leads a port back to a Service", { skip }, async () => {
    await start();
    const items = [DENIED, route("TCPRoute", 80, { name: "web", port: 80 })];
    await mesh().with(items, async () => {
      const web = await mesh().pod(AT, "web");
      await answers(`http://${HOST}/`, `nginx at ${web.status?.podIP}\n200`, NOBODY);
      await isRefused(`https://${HOST}/`, outside);
    });
  });
}
