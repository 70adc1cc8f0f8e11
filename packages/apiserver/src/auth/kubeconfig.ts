/** What a client needs to reach the server. */
export interface KubeconfigOptions {
  readonly url: string;
  readonly caPem: string;
  readonly user: string;
  readonly token: string;
}

/** A kubeconfig file. JSON is YAML, so no library is needed to write it. */
export function kubeconfig({ url, caPem, user, token }: KubeconfigOptions): string {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "heddle",
        cluster: {
          server: url,
          "certificate-authority-data": Buffer.from(caPem).toString("base64"),
        },
      },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: "heddle", context: { cluster: "heddle", user } }],
    "current-context": "heddle",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
