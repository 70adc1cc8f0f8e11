import { MeshError } from "@heddle/base/errors";
import type { ConfigMap } from "@heddle/kube/types/core";
import { parse } from "yaml";

export type Scheme = "linkerd.io/tls" | "kubernetes.io/tls";

/** What checks read of `linkerd-config`. What it leaves out is as in the stock chart. */
export interface MeshConfig {
  /** Of the ConfigMap: the installation's identity, which version checks are asked with. */
  readonly uid: string;
  /** Empty where the values do not say. */
  readonly linkerdVersion: string;
  readonly clusterNetworks: string;
  readonly scheme: Scheme;
  readonly isCniEnabled: boolean;
  readonly isHighlyAvailable: boolean;
  readonly isHeartbeatDisabled: boolean;
  readonly runsInitAsRoot: boolean;
}

const NETWORKS = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8";

/** @throws MeshError `bad_values` that names the value. */
export function readMeshConfig({ metadata, data }: ConfigMap): MeshConfig {
  const text = data?.["values"];
  if (text === undefined) throw bad("it has no key values");
  let values: unknown;
  try {
    values = parse(text, { maxAliasCount: 100 });
  } catch (cause) {
    throw bad("its values are not YAML", cause);
  }
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw bad("its values are no map");
  const scheme = textAt(values, "identity.issuer.scheme", "linkerd.io/tls");
  if (scheme !== "linkerd.io/tls" && scheme !== "kubernetes.io/tls") {
    throw bad(`identity.issuer.scheme is neither linkerd.io/tls nor kubernetes.io/tls`);
  }
  return {
    uid: metadata.uid ?? "",
    linkerdVersion: textAt(values, "linkerdVersion", ""),
    clusterNetworks: textAt(values, "clusterNetworks", NETWORKS),
    scheme,
    isCniEnabled: flagAt(values, "cniEnabled"),
    isHighlyAvailable: flagAt(values, "highAvailability"),
    isHeartbeatDisabled: flagAt(values, "disableHeartBeat"),
    runsInitAsRoot: flagAt(values, "proxyInit.runAsRoot"),
  };
}

function textAt(values: object, path: string, fallback: string): string {
  const found = at(values, path) ?? fallback;
  if (typeof found === "number") return String(found);
  if (typeof found !== "string") throw bad(`${path} is not text`);
  return found;
}

function flagAt(values: object, path: string): boolean {
  const found = at(values, path) ?? false;
  if (typeof found !== "boolean") throw bad(`${path} is neither true nor false`);
  return found;
}

function at(values: object, path: string): unknown {
  let found: unknown = values;
  for (const key of path.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return found;
}

function bad(state: string, cause?: unknown): MeshError {
  const message = `Cannot read ConfigMap linkerd-config: ${state}`;
  return new MeshError("bad_values", "control", message, { cause });
}
