/** What the story proves beyond that each program is answered. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { PROXY_GID } from "@heddle/agent/capture-plan";
import { eventually, type Mesh } from "@heddle/cli/mesh";
import {
  AUTHORIZATION_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import type { KubeObject } from "@heddle/kube/types/meta";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { parseExposition } from "../demo/metrics.ts";
import { type Host, onHost } from "./namespaces.ts";

/**
 * Every connection between the machines is mutual TLS, by the metrics of both ends.
 * @returns who proved to be whom, and how often.
 */
export async function identities(client: Host, server: Host): Promise<string> {
  const seen = async (host: Host, direction: string, peer: string, label: string) => {
    const text = await onHost(host, ["curl", "-sS", "-m", "5", `http://${host.ip}:4191/metrics`]);
    const found = new Map<string, number>();
    for (const { name, labels, value } of parseExposition(text)) {
      if (name !== "tcp_open_total" || labels["target_port"] === "4191") continue;
      if (labels["direction"] !== direction || labels["peer"] !== peer) continue;
      assert.equal(labels["tls"], "true", `${value} connections: ${JSON.stringify(labels)}`);
      const id = labels[label] ?? "";
      found.set(id, (found.get(id) ?? 0) + value);
    }
    assert.equal(found.size, 1, `one ${label}, saw ${[...found.keys()].join(", ")}`);
    return [...found][0]!;
  };
  const [clientId, taken] = await seen(server, "inbound", "src", "client_id");
  const [serverId, made] = await seen(client, "outbound", "dst", "server_id");
  assert.match(clientId, /^spiffe:\/\/.*\/client$/);
  assert.match(serverId, /^spiffe:\/\/.*\/server$/);
  return `${made} connections made to ${serverId}, ${taken} taken from ${clientId}`;
}

/**
 * Who runs as a user of its own in the proxy's group gets the identity; another user cannot even
 * connect. @returns the SPIFFE id.
 */
export async function identityForOthers(host: Host, socket: string): Promise<string> {
  const asked = (gid: number): Promise<string> => {
    const client = join(import.meta.dirname, "client.ts");
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", client];
    return onHost(host, [...node, "svid", socket, String(gid)]);
  };
  await assert.rejects(asked(65534), /EACCES|UNAVAILABLE/);
  return (await asked(PROXY_GID)).trim();
}

/** Nobody may read `/admin`, everybody the rest. @returns what the refused request was told. */
export async function refusal(
  mesh: Mesh,
  namespace: string,
  client: Host,
  url: string,
  stop: AbortSignal,
): Promise<string> {
  const meta = (name: string): KubeObject => ({ metadata: { namespace, name } });
  await mesh.client.create(SERVERS, {
    ...meta("web"),
    spec: {
      port: Number(new URL(url).port),
      proxyProtocol: "HTTP/1",
      externalWorkloadSelector: { matchLabels: { app: "server" } },
    },
  });
  for (const [name, path, identity] of [
    ["admin", "/admin", "nobody.hosts.serviceaccount.identity.linkerd.cluster.local"],
    ["rest", "/", "*"],
  ] as const) {
    const rules = [{ matches: [{ path: { type: "PathPrefix", value: path } }] }] as const;
    await mesh.client.create(POLICY_HTTP_ROUTES, {
      ...meta(name),
      spec: {
        parentRefs: [{ group: "policy.linkerd.io", kind: "Server", name: "web" }],
        rules: [...rules],
      },
    });
    await mesh.client.create(MESH_TLS_AUTHENTICATIONS, {
      ...meta(name),
      spec: { identities: [identity] },
    });
    await mesh.client.create(AUTHORIZATION_POLICIES, {
      ...meta(name),
      spec: {
        targetRef: { group: "policy.linkerd.io", kind: "HTTPRoute", name },
        requiredAuthenticationRefs: [
          { group: "policy.linkerd.io", kind: "MeshTLSAuthentication", name },
        ],
      },
    });
  }
  const get = (path: string): Promise<string> =>
    onHost(client, ["curl", "-sSi", "-m", "5", `${url}${path}`]);
  const refused = await eventually("the policy to take effect", stop, async () => {
    const answer = await get("/admin/report");
    assert.match(answer, /^HTTP\/1\.1 403 /);
    return answer;
  });
  assert.match(await get("/other"), /^HTTP\/1\.1 200 /);
  const why = /^heddle-refused-by: (.*)$/m.exec(refused)?.[1]?.trim() ?? "";
  assert.match(why, /spiffe:\/\//, `who was refused, and by what: ${refused}`);
  return why;
}
