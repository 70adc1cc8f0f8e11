import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Env } from "@heddle/base/env";
import { type ControlAddress, loadControlAddress } from "../discovery/config.ts";
import { dnsName, duration, string, tlsId } from "../env-values.ts";
import type { LoopbackMesh } from "../loopback-mesh.ts";
import { type BackoffConfig, loadBackoff } from "../tcp/config.ts";

export interface IdentityConfig {
  /** PEM, one certificate or more. */
  readonly trustAnchors: string;
  /** What our own certificate must say: a DNS name or a SPIFFE id. */
  readonly id: string;
  /** The server name under which meshed peers reach us. */
  readonly serverName: string;
  readonly source: CertifyConfig | WorkloadApiConfig;
}

/** From Linkerd's identity service, by token and signing request. */
export interface CertifyConfig {
  readonly kind: "certify";
  readonly control: ControlAddress;
  /** DER. */
  readonly csr: Uint8Array;
  /** PKCS#8 in DER. */
  readonly key: Uint8Array;
  /** Read again for every call. */
  readonly tokenPath: string;
  readonly minRefreshMs: number;
  readonly maxRefreshMs: number;
}

/** From a SPIFFE Workload API: SPIRE's agent, or ours. */
export interface WorkloadApiConfig {
  readonly kind: "workload_api";
  readonly socketPath: string;
  readonly backoff: BackoffConfig;
}

const PREFIX = "LINKERD2_PROXY_IDENTITY_";

export function loadIdentity(env: Env, mesh: LoopbackMesh): IdentityConfig {
  if (env.read(`${PREFIX}DISABLED`, string, "") !== "") {
    env.fail(`${PREFIX}DISABLED is no longer supported: identity cannot be disabled`);
  }
  const trustAnchors = env.require(`${PREFIX}TRUST_ANCHORS`, notEmpty, "");
  const localName = env.read(`${PREFIX}LOCAL_NAME`, dnsName, undefined);
  const id = localName ?? env.require(`${PREFIX}SERVER_ID`, tlsId, "");
  const serverName = localName ?? env.require(`${PREFIX}SERVER_NAME`, dnsName, "");
  const deprecated = env.read(`${PREFIX}SPIRE_SOCKET`, string, undefined);
  const socket = env.read(`${PREFIX}SPIRE_WORKLOAD_API_ADDRESS`, string, deprecated);
  if (socket === undefined) {
    if (id !== serverName) env.fail(`${PREFIX}SERVER_ID must equal ${PREFIX}SERVER_NAME`);
    return { trustAnchors, id, serverName, source: loadCertify(env, mesh) };
  }
  if (id !== "" && !id.startsWith("spiffe://")) {
    env.fail(`${PREFIX}SERVER_ID="${id}" is no SPIFFE id, which a Workload API needs`);
  }
  const source: WorkloadApiConfig = {
    kind: "workload_api",
    socketPath: socket.replace(/^unix:(\/\/(?=\/))?/, ""),
    // The prefix really is doubled: Linkerd's constant already contains it.
    backoff: loadBackoff(env, "LINKERD2_PROXY_LINKERD2_PROXY_IDENTITY_SPIRE", {
      minMs: 100,
      maxMs: 1_000,
      jitter: 0.1,
    }),
  };
  return { trustAnchors, id, serverName, source };
}

function loadCertify(env: Env, mesh: LoopbackMesh): CertifyConfig {
  const directory = env.require(`${PREFIX}DIR`, string, "");
  const tokenPath = env.require(`${PREFIX}TOKEN_FILE`, string, "");
  const none = new Uint8Array();
  const csr = directory === "" ? none : readDocument(env, join(directory, "csr.der"));
  const key = directory === "" ? none : readDocument(env, join(directory, "key.p8"));
  if (tokenPath !== "") readDocument(env, tokenPath);
  return {
    kind: "certify",
    control: loadControlAddress(env, `${PREFIX}SVC`, mesh),
    csr,
    key,
    tokenPath,
    minRefreshMs: env.read(`${PREFIX}MIN_REFRESH`, duration, 10_000),
    maxRefreshMs: env.read(`${PREFIX}MAX_REFRESH`, duration, 86_400_000),
  };
}

function readDocument(env: Env, path: string): Uint8Array {
  try {
    const bytes = readFileSync(path);
    if (bytes.length === 0) env.fail(`${path} is empty`);
    return bytes;
  } catch (error) {
    env.fail(`Cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`);
    return new Uint8Array();
  }
}

function notEmpty(text: string): string {
  if (text.trim() === "") throw new SyntaxError("expected certificates in PEM");
  return text;
}
