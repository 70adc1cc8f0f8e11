/** What tests do to the etcd below a Kubernetes API, over its JSON gateway. */

interface RangeAnswer {
  readonly kvs?: readonly { readonly key: string }[];
}

/** Kinds without a namespace that tests make. */
const CLUSTER_KINDS: ReadonlySet<string> = new Set([
  "namespaces",
  "minions",
  "ipaddresses",
  "validatingwebhookconfigurations",
  "mutatingwebhookconfigurations",
]);

/** Kinds of built-in groups that tests make in namespaces; those of other groups all count. */
const NAMESPACED_KINDS: ReadonlySet<string> = new Set([
  "configmaps",
  "controllers",
  "cronjobs",
  "daemonsets",
  "deployments",
  "endpointslices",
  "events",
  "jobs",
  "leases",
  "pods",
  "replicasets",
  "rolebindings",
  "roles",
  "secrets",
  "serviceaccounts",
  "services",
  "statefulsets",
]);

/** Groups whose objects are the API server's own furniture. */
const KEPT_GROUPS: ReadonlySet<string> = new Set([
  "apiextensions.k8s.io",
  "apiregistration.k8s.io",
]);

/** Objects of the namespace `default` that its controllers want back at once. */
const KEPT_DEFAULTS: ReadonlySet<string> = new Set(["kubernetes", "default", "kube-root-ca.crt"]);

const SYSTEM_NAMESPACES = /^(default|kube-.*)$/;
const FIRST_SERVICE_IP = "10.96.0.1";

/**
 * Removes what a test may have made, definitions of kinds excepted: those cost a second each to come
 * back. The API server sees it as deletions; nothing waits for finalizers or grace periods.
 */
export async function emptyKubernetes(etcdUrl: string): Promise<void> {
  const range = { key: base64("/registry/"), range_end: base64("/registry0"), keys_only: true };
  const { kvs = [] } = await call<RangeAnswer>(etcdUrl, "range", range);
  const keys = kvs.map(({ key }) => Buffer.from(key, "base64").toString());
  for (const key of keys.filter(isOfTests)) {
    await call(etcdUrl, "deleterange", { key: base64(key) });
  }
}

/** `/registry/KIND/…` or `/registry/GROUP/KIND/…`, then the namespace if there is one, then the name. */
function isOfTests(key: string): boolean {
  const parts = key.split("/").slice(2);
  const kind = parts[0] ?? "";
  const name = parts.at(-1) ?? "";
  if (KEPT_GROUPS.has(kind)) return false;
  if (CLUSTER_KINDS.has(kind)) return !SYSTEM_NAMESPACES.test(name) && name !== FIRST_SERVICE_IP;
  const namespace = parts.at(-2) ?? "";
  const isNamespaced = NAMESPACED_KINDS.has(kind) || kind.includes(".");
  if (!isNamespaced || namespace.startsWith("kube-")) return false;
  return namespace !== "default" || !KEPT_DEFAULTS.has(name);
}

async function call<T>(etcdUrl: string, method: string, body: object): Promise<T> {
  const response = await fetch(`${etcdUrl}/v3/kv/${method}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`etcd answers ${method} with ${response.status}`);
  return (await response.json()) as T;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
