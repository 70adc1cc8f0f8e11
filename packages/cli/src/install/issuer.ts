import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { SECRETS } from "@heddle/kube/types/core";
import type { Values } from "../helm/set-values.ts";
import type { InstallFacts } from "../install-values.ts";
import type { ClusterReader } from "./installed.ts";

export interface IssuerOptions {
  readonly facts: InstallFacts;
  readonly namespace: string;
  /** Left out where the cluster is not to be asked. */
  readonly cluster: ClusterReader | undefined;
  readonly clock: Clock;
}

/** The values of anchors and issuer: those that are given, if they hold together, or new ones. */
export function issuerValues(options: IssuerOptions): Promise<Values> {
  const isExternal = options.facts.scheme === "kubernetes.io/tls";
  return isExternal ? externalAnchors(options) : ownIssuer(options);
}

/** @throws MeshError `bad_issuer` if files are given for an issuer that its Secret holds. */
export function refuseExternalFiles({ scheme, given }: InstallFacts): void {
  if (scheme !== "kubernetes.io/tls" || (given.certificate === "" && given.key === "")) return;
  throw badIssuer("use an issuer's files: with an external issuer its Secret holds them");
}

/** Of an issuer that somebody else keeps in its Secret, as cert-manager does. */
async function externalAnchors({ facts, namespace, cluster }: IssuerOptions): Promise<Values> {
  refuseExternalFiles(facts);
  if (cluster === undefined) {
    throw badIssuer("ignore the cluster: the external issuer's Secret is in it");
  }
  if (facts.isExternalCa || facts.given.anchors !== "") return {};
  const ref = { name: "linkerd-identity-issuer", namespace };
  const secret = await cluster.find(SECRETS, ref);
  const anchors = Buffer.from(secret?.data?.["ca.crt"] ?? "", "base64").toString();
  if (anchors === "") {
    throw badIssuer(
      `read the anchors: Secret ${namespace}/${ref.name} has no ca.crt; give --identity-trust-anchors-file or --identity-external-ca`,
    );
  }
  return { identityTrustAnchorsPEM: anchors };
}

async function ownIssuer({ facts, namespace, clock }: IssuerOptions): Promise<Values> {
  const { given, trustDomain, isExternalCa } = facts;
  const { anchors, certificate, key } = given;
  if (isExternalCa) {
    if (certificate !== "" && key !== "") {
      if (anchors !== "") await checkIssuer(given, clock.wallMs());
      return {};
    }
    throw badIssuer(
      "make an issuer below anchors that somebody else keeps: give --identity-issuer-certificate-file and --identity-issuer-key-file, or --identity-external-issuer",
    );
  }
  const count = [anchors, certificate, key].filter((pem) => pem !== "").length;
  if (count === 3) {
    await checkIssuer(given, clock.wallMs());
    return {};
  }
  if (count > 0) {
    throw badIssuer(
      "use an issuer by halves: give --identity-trust-anchors-file, --identity-issuer-certificate-file and --identity-issuer-key-file, or none",
    );
  }
  const { createSelfSigned } = await import("@heddle/control/identity/bootstrap");
  const made = await createSelfSigned({ controlNamespace: namespace, trustDomain, clock });
  return {
    identityTrustAnchorsPEM: made.anchorsPem,
    identity: { issuer: { tls: { crtPEM: made.issuerPem, keyPEM: made.issuerKeyPem } } },
  };
}

/**
 * As the control plane will, which would refuse it only when it is installed.
 *
 * @throws MeshError `bad_issuer`, or of what does not parse.
 */
export async function checkIssuer(given: InstallFacts["given"], nowMs: number): Promise<void> {
  const problem = await issuerProblem(given, given.anchors, nowMs);
  if (problem !== undefined) throw badIssuer(`use this issuer: ${problem}`);
}

/** Why proxies with these anchors would not trust what the issuer signs; undefined if they would. */
export async function issuerProblem(
  { certificate, key }: Pick<InstallFacts["given"], "certificate" | "key">,
  anchorsPem: string,
  nowMs: number,
): Promise<string | undefined> {
  const { loadIssuer } = await import("@heddle/control/identity/issuer");
  const { parseCertificates } = await import("@heddle/control/identity/chain");
  const anchors = parseCertificates(anchorsPem, "trust anchors");
  const issuer = await loadIssuer(certificate, key);
  return issuer.problem(anchors, nowMs);
}

function badIssuer(what: string): MeshError {
  return new MeshError("bad_issuer", "client", `Cannot ${what}`);
}
