import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type SanEntry, TestCa } from "@heddle/testkit/ca";

/** Who needs a kubeconfig: file name, user, group. */
const USERS = [
  { file: "admin", user: "admin", group: "system:masters" },
  { file: "controllers", user: "system:kube-controller-manager", group: "" },
  { file: "scheduler", user: "system:kube-scheduler", group: "" },
  { file: "proxy", user: "system:kube-proxy", group: "" },
] as const;

const SERVER_NAMES: readonly SanEntry[] = [
  { dns: "localhost" },
  { dns: "kubernetes" },
  { dns: "kubernetes.default" },
  { dns: "kubernetes.default.svc" },
  { dns: "kubernetes.default.svc.cluster.local" },
  { ip: "127.0.0.1" },
  // The Service `kubernetes`: the first of the network of Services.
  { ip: "10.96.0.1" },
];

/** A node that joins: its kubelet is a client of the API server, and a server to it. */
export interface NodeNames {
  readonly name: string;
  readonly ip: string;
}

/**
 * Writes a CA, the API server's certificates and keys, and a kubeconfig for each user, and for the
 * kubelet of `node`, on whose address the API server is found, too.
 */
export async function writePki(folder: string, serverUrl: string, node?: NodeNames): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string): void =>
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  const ca = await TestCa.root("kubernetes-ca");
  write("ca.crt", ca.pem);
  const own = node === undefined ? [] : [{ ip: node.ip }];
  const server = await ca.leaf({ commonName: "kube-apiserver", sans: [...SERVER_NAMES, ...own] });
  write("apiserver.crt", server.pem);
  write("apiserver.key", server.keyPem);
  const front = await ca.leaf({ commonName: "front-proxy" });
  write("front.crt", front.pem);
  write("front.key", front.keyPem);
  const tokens = generateKeyPairSync("rsa", { modulusLength: 2048 });
  write("sa.key", tokens.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  write("sa.pub", tokens.publicKey.export({ type: "spki", format: "pem" }).toString());
  for (const { file, user, group } of USERS) {
    const organization = group === "" ? {} : { organization: group };
    const leaf = await ca.leaf({ commonName: user, ...organization, purposes: ["client"] });
    write(`${file}.kubeconfig`, kubeconfig(serverUrl, ca.pem, leaf.pem, leaf.keyPem));
    if (file === "admin") {
      write("admin.crt", leaf.pem);
      write("admin.key", leaf.keyPem);
    }
  }
  if (node === undefined) return;
  const kubelet = await ca.leaf({
    commonName: `system:node:${node.name}`,
    organization: "system:nodes",
    sans: [{ dns: node.name }, { ip: node.ip }],
  });
  write("kubelet.crt", kubelet.pem);
  write("kubelet.key", kubelet.keyPem);
  write("kubelet.kubeconfig", kubeconfig(serverUrl, ca.pem, kubelet.pem, kubelet.keyPem));
}

function kubeconfig(server: string, ca: string, cert: string, key: string): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const cluster = { server, "certificate-authority-data": base64(ca) };
  const user = { "client-certificate-data": base64(cert), "client-key-data": base64(key) };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "kube", cluster }],
    users: [{ name: "user", user }],
    contexts: [{ name: "kube", context: { cluster: "kube", user: "user" } }],
    "current-context": "kube",
  });
}
