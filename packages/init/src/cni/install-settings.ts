import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "@heddle/base/env";
import { parsePlugin } from "./conf-list.ts";

/** Where things are and go. Folders of the host are as the container sees them. */
export interface InstallSettings {
  /** What is copied to the host: our executable, and whatever it needs beside it. */
  readonly sourceFolder: string;
  readonly hostBinFolder: string;
  readonly hostConfFolder: string;
  readonly kubeconfigName: string;
  /** As the plugin will find it, on the host. */
  readonly kubeconfigPath: string;
  readonly accountFolder: string;
  readonly caFile: string;
  readonly skipTlsVerify: boolean;
  readonly apiServer: string;
  /** Our plugin's configuration. */
  readonly plugin: object;
  /** False: install, and leave it at that. */
  readonly stay: boolean;
}

const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
const KUBECONFIG_PLACEHOLDER = "__KUBECONFIG_FILEPATH__";

/** Reads the variables of Linkerd's installer. */
export function loadInstallSettings(env: Env): InstallSettings {
  const read = (name: string, fallback: string): string =>
    env.read(name, (text) => text, fallback) || fallback;
  const prefix = read("CONTAINER_MOUNT_PREFIX", "/host");
  const confFolder = read("DEST_CNI_NET_DIR", "/etc/cni/net.d");
  const kubeconfigName = read("KUBECONFIG_FILE_NAME", "ZZZ-linkerd-cni-kubeconfig");
  const accountFolder = read("SERVICEACCOUNT_PATH", ACCOUNT_FOLDER);
  const kubeconfigPath = join(confFolder, kubeconfigName);
  const host = env.require("KUBERNETES_SERVICE_HOST", (text) => text, "");
  const port = env.require("KUBERNETES_SERVICE_PORT", (text) => text, "");
  const protocol = read("KUBERNETES_SERVICE_PROTOCOL", "https");
  const parse = (text: string): object =>
    parsePlugin(text.replaceAll(KUBECONFIG_PLACEHOLDER, kubeconfigPath));
  const fromFile = env.read(
    "CNI_NETWORK_CONFIG_FILE",
    (path) => (path === "" ? undefined : parse(readFileSync(path, "utf8"))),
    undefined,
  );
  return {
    sourceFolder: read("CONTAINER_CNI_BIN_DIR", "/opt/cni/bin"),
    hostBinFolder: join(prefix, read("DEST_CNI_BIN_DIR", "/opt/cni/bin")),
    hostConfFolder: join(prefix, confFolder),
    kubeconfigName,
    kubeconfigPath,
    accountFolder,
    caFile: read("KUBE_CA_FILE", join(accountFolder, "ca.crt")),
    skipTlsVerify: read("SKIP_TLS_VERIFY", "false") === "true",
    apiServer: `${protocol}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    plugin: fromFile ?? env.require("CNI_NETWORK_CONFIG", parse, {}),
    stay: read("SLEEP", "true") !== "false",
  };
}
