import { MeshError, messageOf } from "@heddle/base/errors";

/** The versions of the CNI specification that we speak, oldest first. */
export const CNI_VERSIONS: readonly string[] = [
  "0.1.0",
  "0.2.0",
  "0.3.0",
  "0.3.1",
  "0.4.0",
  "1.0.0",
  "1.1.0",
];
const NEWEST = CNI_VERSIONS.at(-1)!;

export type CniCommand = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS" | "VERSION";

/** What a runtime asks for by its environment. */
export interface CniCall {
  readonly command: CniCommand;
  readonly containerId: string;
  /** A file that is the container's network namespace; empty for what has none. */
  readonly netns: string;
  /** `CNI_ARGS`: `K8S_POD_NAME` and the like. */
  readonly args: ReadonlyMap<string, string>;
}

const NEEDED: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  CHECK: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
  DEL: ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
  GC: ["CNI_PATH"],
  STATUS: ["CNI_PATH"],
  VERSION: [],
};

/** Of container ids and network names. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,1023}$/;
const KNOWN_ARGS = ["K8S_POD_NAMESPACE", "K8S_POD_NAME", "IgnoreUnknown"];

/** @throws MeshError `cni_env` that names the variable. */
export function parseCall(env: (name: string) => string | undefined): CniCall {
  const get = (name: string): string => env(name) ?? "";
  const command = get("CNI_COMMAND");
  if (!Object.hasOwn(NEEDED, command)) {
    throw badEnv(command === "" ? "CNI_COMMAND is missing" : `unknown CNI_COMMAND: ${command}`);
  }
  const missing = NEEDED[command as CniCommand].filter((name) => get(name) === "");
  if (missing.length > 0) {
    throw badEnv(`required env variables [${missing.join(",")}] missing`);
  }
  const containerId = get("CNI_CONTAINERID");
  if (containerId !== "" && !NAME.test(containerId)) {
    throw badEnv(`invalid characters in containerID: ${containerId}`);
  }
  const ifname = get("CNI_IFNAME");
  if (ifname !== "" && !isInterfaceName(ifname)) throw badEnv(`invalid CNI_IFNAME: ${ifname}`);
  const args = parseArgs(get("CNI_ARGS"));
  return { command: command as CniCommand, containerId, netns: get("CNI_NETNS"), args };
}

/** As the kernel takes them. */
function isInterfaceName(name: string): boolean {
  return name.length <= 15 && name !== "." && name !== ".." && !/[/:\s]/.test(name);
}

function parseArgs(text: string): Map<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(";").filter((item) => item !== "")) {
    const at = pair.indexOf("=");
    if (at < 1) throw badEnv(`CNI_ARGS: invalid pair ${JSON.stringify(pair)}`);
    args.set(pair.slice(0, at), pair.slice(at + 1));
  }
  const mayIgnore = /^(?:1|true)$/i.test(args.get("IgnoreUnknown") ?? "");
  const unknown = [...args.keys()].filter((name) => !KNOWN_ARGS.includes(name));
  if (unknown.length > 0 && !mayIgnore) {
    throw badEnv(`CNI_ARGS: unknown args [${unknown.join(" ")}]`);
  }
  return args;
}

/** The version that an answer is in; for a configuration without one, the first of all. */
export function versionOf(config: unknown): string {
  const version = (config as { readonly cniVersion?: unknown } | null)?.cniVersion;
  return typeof version === "string" && version !== "" ? version : CNI_VERSIONS[0]!;
}

/** @throws MeshError `cni_version` or `cni_config`. */
export function checkNetwork(config: unknown): void {
  const version = versionOf(config);
  if (!CNI_VERSIONS.includes(version)) {
    const message = `Cannot answer in CNI version ${version}: we speak ${CNI_VERSIONS.join(", ")}`;
    throw new MeshError("cni_version", "client", message);
  }
  const name = (config as { readonly name?: unknown } | null)?.name;
  if (typeof name === "string" && NAME.test(name)) return;
  const state = name === undefined || name === "" ? "missing network name" : "invalid network name";
  throw new MeshError("cni_config", "client", `Cannot use network configuration: ${state}`);
}

/** The answer to VERSION. */
export function versionAnswer(config: unknown): object {
  const asked = (config as { readonly cniVersion?: unknown } | null)?.cniVersion;
  return {
    cniVersion: typeof asked === "string" ? asked : NEWEST,
    supportedVersions: CNI_VERSIONS,
  };
}

/** A chained plugin passes on what the plugins before it said. */
export function addAnswer(version: string, previous: object | undefined): object {
  return previous === undefined
    ? { cniVersion: version, dns: {} }
    : { ...previous, cniVersion: version };
}

/** Codes below 100 are the specification's, the others are ours. */
const CODES: Readonly<Record<string, number>> = {
  cni_version: 1,
  cni_env: 4,
  cni_io: 5,
  cni_decode: 6,
  cni_config: 7,
  cni_unavailable: 50,
  bad_option: 7,
  no_firewall: 100,
  firewall_failed: 101,
  close_wait: 101,
  kube_config: 102,
  kube_credentials: 102,
  kube_forbidden: 102,
  kube_unauthorized: 102,
};
/** "Try again later": what the API server cannot say now, it may say then. */
const TRY_AGAIN = 11;

/** What a runtime reads from our standard output when we fail. */
export function errorAnswer(version: string, error: MeshError): object {
  const known = CNI_VERSIONS.includes(version) ? version : NEWEST;
  const code = CODES[error.code] ?? TRY_AGAIN;
  const details = error.cause === undefined ? "" : messageOf(error.cause);
  return {
    cniVersion: known,
    code,
    msg: `linkerd-cni: ${error.message}`,
    ...(details === "" ? {} : { details }),
  };
}

function badEnv(state: string): MeshError {
  return new MeshError("cni_env", "client", `Cannot read CNI environment: ${state}`);
}
