/** What the plugin proves itself with: our own service account's token of now. */
export interface PluginAccess {
  readonly server: string;
  readonly token: string;
  /** PEM; undefined: any certificate will do. */
  readonly ca: string | undefined;
}

/** The plugin's kubeconfig. JSON is YAML, and needs no thought about what a token may hold. */
export function pluginKubeconfig({ server, token, ca }: PluginAccess): string {
  const trust =
    ca === undefined
      ? { "insecure-skip-tls-verify": true }
      : { "certificate-authority-data": Buffer.from(ca).toString("base64") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "local", cluster: { server, ...trust } }],
    users: [{ name: "linkerd-cni", user: { token } }],
    contexts: [{ name: "linkerd-cni-context", context: { cluster: "local", user: "linkerd-cni" } }],
    "current-context": "linkerd-cni-context",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
