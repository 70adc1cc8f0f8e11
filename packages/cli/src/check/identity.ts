import type { X509Certificate } from "node:crypto";
import { MeshError } from "@heddle/base/errors";
import type { KubeClient } from "@heddle/kube/client";
import { CONFIG_MAPS, SECRETS, type Secret } from "@heddle/kube/types/core";
import { parseCertificates } from "./certificates.ts";
import type { Scheme } from "./mesh-config.ts";

const ISSUER_SECRET = "linkerd-identity-issuer";
const TRUST_ROOTS = "linkerd-identity-trust-roots";
const TRUST_ROOTS_KEY = "ca-bundle.crt";
/** Of a Secret that cert-manager keeps: the anchors as it knows them. */
const EXTERNAL_ANCHORS_KEY = "ca.crt";

const ISSUER_KEYS: Readonly<Record<Scheme, readonly [certificate: string, key: string]>> = {
  "linkerd.io/tls": ["crt.pem", "key.pem"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

export interface IdentityMaterial {
  readonly anchors: readonly X509Certificate[];
  /** The issuer first. */
  readonly issuer: readonly X509Certificate[];
}

export interface IdentitySource {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly scheme: Scheme;
}

/** Reads issuer and anchors, and that the issuer's key is its own. Judges neither. */
export async function loadIdentityMaterial(
  source: IdentitySource,
  signal: AbortSignal,
): Promise<IdentityMaterial> {
  const { namespace, scheme } = source;
  const secret = await issuerSecret(source, signal);
  const keys = ISSUER_KEYS[scheme];
  const [certificate, key] = keys.map((name) => secretText(secret, name));
  if (certificate === undefined || key === undefined) {
    const has = Object.keys(secret.data ?? {}).join(", ") || "nothing";
    const state = `scheme ${scheme} needs ${keys.join(" and ")} in it, and it has ${has}`;
    const message = `Cannot use Secret ${namespace}/${ISSUER_SECRET}: ${state}`;
    throw new MeshError("bad_issuer", "control", message);
  }
  const { loadIssuer } = await import("@heddle/control/identity/issuer");
  const issuer = await loadIssuer(certificate, key);
  const anchors = await parseCertificates(await loadTrustAnchors(source, signal), "trust anchors");
  return { anchors, issuer: issuer.certificates };
}

/** The anchors that proxies are given; without their ConfigMap, those of an external issuer. */
export async function loadTrustAnchors(
  source: IdentitySource,
  signal: AbortSignal,
): Promise<string> {
  const { client, namespace, scheme } = source;
  const ref = { name: TRUST_ROOTS, namespace };
  const given = (await client.find(CONFIG_MAPS, ref, { signal }))?.data?.[TRUST_ROOTS_KEY];
  if (given !== undefined) return given;
  if (scheme === "kubernetes.io/tls") {
    const external = secretText(await issuerSecret(source, signal), EXTERNAL_ANCHORS_KEY);
    if (external !== undefined) return external;
  }
  const message = `Cannot find the trust anchors: ConfigMap ${namespace}/${TRUST_ROOTS} has no ${TRUST_ROOTS_KEY}`;
  throw new MeshError("no_anchors", "control", message);
}

/** Text of a Secret's data; undefined if it is not there. */
export function secretText({ data }: Secret, key: string): string | undefined {
  const found = data !== undefined && Object.hasOwn(data, key) ? data[key] : undefined;
  return found === undefined ? undefined : Buffer.from(found, "base64").toString("utf8");
}

function issuerSecret({ client, namespace }: IdentitySource, signal: AbortSignal): Promise<Secret> {
  return client.get(SECRETS, { name: ISSUER_SECRET, namespace }, { signal });
}
