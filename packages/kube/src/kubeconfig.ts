import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { MeshError } from "@heddle/base/errors";
import { parse } from "yaml";
import {
  type Credentials,
  fixedCredentials,
  NO_CREDENTIALS,
  PluginCredentials,
  TokenFile,
} from "./credentials.ts";

/** Where an API server is, how to know that it is the right one, and who we are to it. */
export interface ClusterConfig {
  readonly server: URL;
  /** The namespace that commands use when none is named. */
  readonly namespace: string;
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  readonly credentials: Credentials;
  /** Whom we act for, if we may. */
  readonly impersonate?: Impersonation | undefined;
}

export interface Impersonation {
  readonly user: string;
  readonly groups: readonly string[];
}

/** What every request says of whom it is made for. */
export function impersonationHeaders(
  cluster: ClusterConfig,
): Readonly<Record<string, string | string[]>> {
  const { impersonate } = cluster;
  if (impersonate === undefined) return {};
  const { user, groups } = impersonate;
  return {
    "impersonate-user": user,
    ...(groups.length === 0 ? {} : { "impersonate-group": [...groups] }),
  };
}

export interface KubeconfigOptions {
  /** Files to merge; the first that says something wins. */
  readonly paths: readonly string[];
  readonly context?: string;
}

const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Finds the API server as kubectl does: an explicit path, `KUBECONFIG`, the pod's own service
 * account, `~/.kube/config`.
 *
 * @throws MeshError `kube_config` that says which file is wrong and how.
 */
export function findCluster(
  get: (name: string) => string | undefined,
  options: { readonly path?: string; readonly context?: string } = {},
): ClusterConfig {
  const { context } = options;
  const rest = context === undefined ? {} : { context };
  if (options.path !== undefined && options.path !== "") {
    return loadKubeconfig({ paths: [options.path], ...rest });
  }
  const listed = (get("KUBECONFIG") ?? "").split(":").filter((path) => path !== "");
  if (listed.length > 0) return loadKubeconfig({ paths: listed.filter(existsSync), ...rest });
  if (get("KUBERNETES_SERVICE_HOST") !== undefined && context === undefined) {
    return inClusterConfig(get);
  }
  return loadKubeconfig({ paths: [join(get("HOME") ?? homedir(), ".kube", "config")], ...rest });
}

/** The contexts that the kubeconfig files know, for a shell that completes; none if there is no file. */
export function contextNames(
  get: (name: string) => string | undefined,
  path?: string,
): readonly string[] {
  const listed = (path ?? get("KUBECONFIG") ?? "").split(":").filter((one) => one !== "");
  const home = join(get("HOME") ?? homedir(), ".kube", "config");
  const names = (listed.length > 0 ? listed : [home]).filter(existsSync).flatMap((file) => {
    const contexts = parseRoot({ path: file, text: readText(file) })["contexts"];
    if (!Array.isArray(contexts)) return [];
    return contexts.map((entry: unknown) => (isFields(entry) ? text(entry["name"], "name") : ""));
  });
  return [...new Set(names)].filter((name): name is string => (name ?? "") !== "");
}

/** The service account that kubelet mounts into every pod. */
export function inClusterConfig(
  get: (name: string) => string | undefined,
  folder: string = SERVICE_ACCOUNT_FOLDER,
): ClusterConfig {
  const host = get("KUBERNETES_SERVICE_HOST");
  const port = get("KUBERNETES_SERVICE_PORT") ?? "443";
  if (host === undefined) throw bad("KUBERNETES_SERVICE_HOST is not set");
  const namespacePath = join(folder, "namespace");
  return {
    server: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: existsSync(namespacePath) ? readFileSync(namespacePath, "utf8").trim() : "default",
    tls: { ca: readText(join(folder, "ca.crt")) },
    credentials: new TokenFile(join(folder, "token")),
  };
}

export function loadKubeconfig(options: KubeconfigOptions): ClusterConfig {
  if (options.paths.length === 0) throw bad("no kubeconfig file exists");
  const files = options.paths.map((path) => ({ path, text: readText(path) }));
  return mergeKubeconfigs(files, options.context);
}

/** Takes one kubeconfig as text; relative paths in it start at `folder`. */
export function parseKubeconfig(text: string, folder = "/", context?: string): ClusterConfig {
  return mergeKubeconfigs([{ path: join(folder, "kubeconfig"), text }], context);
}

type Fields = Readonly<Record<string, unknown>>;

interface File {
  readonly path: string;
  readonly text: string;
}

function mergeKubeconfigs(files: readonly File[], wanted: string | undefined): ClusterConfig {
  const parsed = files.map((file) => ({ ...file, root: parseRoot(file) }));
  const current = parsed.map(({ root }) => root["current-context"]).find((v) => v !== undefined);
  const contextName = wanted ?? text(current, "current-context");
  if (contextName === undefined || contextName === "") throw bad("no current-context is set");
  const context = entry(parsed, "contexts", "context", contextName);
  const clusterName = text(context.fields["cluster"], "cluster") ?? "";
  const cluster = entry(parsed, "clusters", "cluster", clusterName);
  const userName = text(context.fields["user"], "user");
  const user = userName === undefined ? undefined : entry(parsed, "users", "user", userName);
  return {
    server: serverUrl(text(cluster.fields["server"], "server")),
    namespace: text(context.fields["namespace"], "namespace") ?? "default",
    tls: tlsOf(cluster, user),
    credentials: credentialsOf(user, contextName),
  };
}

interface Entry {
  readonly fields: Fields;
  readonly folder: string;
  readonly fileText: string;
}

function entry(
  files: readonly (File & { readonly root: Fields })[],
  list: string,
  field: string,
  name: string,
): Entry {
  for (const { path, text: fileText, root } of files) {
    const items = root[list];
    if (!Array.isArray(items)) continue;
    for (const item of items) {
      if (!isFields(item) || item["name"] !== name) continue;
      const fields = item[field];
      if (!isFields(fields)) throw bad(`${list} "${name}" in ${path} has no ${field}`);
      return { fields, folder: dirname(resolve(path)), fileText };
    }
  }
  throw bad(`there is no ${field} "${name}"`);
}

function tlsOf(cluster: Entry, user: Entry | undefined): ClusterConfig["tls"] {
  const ca = pem(cluster, "certificate-authority");
  const cert = user === undefined ? undefined : pem(user, "client-certificate");
  const key = user === undefined ? undefined : pem(user, "client-key");
  const servername = text(cluster.fields["tls-server-name"], "tls-server-name");
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    ...(cluster.fields["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {}),
  };
}

function credentialsOf(user: Entry | undefined, contextName: string): Credentials {
  if (user === undefined) return NO_CREDENTIALS;
  const { fields, folder } = user;
  const token = text(fields["token"], "token");
  if (token !== undefined && token !== "") return fixedCredentials(`Bearer ${token}`);
  const tokenFile = text(fields["tokenFile"], "tokenFile");
  if (tokenFile !== undefined) return new TokenFile(resolve(folder, tokenFile));
  const name = text(fields["username"], "username");
  if (name !== undefined) {
    const password = text(fields["password"], "password") ?? "";
    return fixedCredentials(`Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`);
  }
  if (fields["exec"] !== undefined || fields["auth-provider"] !== undefined) {
    return new PluginCredentials(user.fileText, contextName);
  }
  return NO_CREDENTIALS;
}

/** `name-data` holds base64, `name` a path. */
function pem(from: Entry, name: string): string | undefined {
  const data = text(from.fields[`${name}-data`], `${name}-data`);
  if (data !== undefined) return Buffer.from(data, "base64").toString("utf8");
  const path = text(from.fields[name], name);
  return path === undefined || path === "" ? undefined : readText(resolve(from.folder, path));
}

function serverUrl(server: string | undefined): URL {
  if (server === undefined) throw bad("the cluster has no server");
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw bad(`server "${server}" is not an http or https URL`);
  }
  return url;
}

function parseRoot(file: File): Fields {
  let root: unknown;
  try {
    root = parse(file.text);
  } catch (cause) {
    throw bad(`${file.path} is not YAML`, cause);
  }
  if (!isFields(root)) throw bad(`${file.path} holds no kubeconfig`);
  return root;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw bad(`${name} is not text`);
  return value;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw bad(`${path} cannot be read`, cause);
  }
}

function bad(state: string, cause?: unknown): MeshError {
  return new MeshError("kube_config", "self", `Cannot load kubeconfig: ${state}`, { cause });
}
