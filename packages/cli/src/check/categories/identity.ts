import type { X509Certificate } from "node:crypto";
import {
  type AllowedKeys,
  certificateName,
  cryptoProblem,
  expiryProblem,
  timeProblem,
} from "../certificates.ts";
import { type Category, type Check, failed, failedFor, PASSED } from "../check.ts";
import type { CheckedMesh } from "../checked-mesh.ts";
import { podName, podsWithOtherAnchors } from "../pods.ts";

/** Why one certificate is not as it should be. */
type Problem = (certificate: X509Certificate, mesh: CheckedMesh) => string | undefined;

export const IDENTITY: Category = {
  name: "linkerd-identity",
  checks: [
    {
      description: "certificate config is valid",
      anchor: "l5d-identity-cert-config-valid",
      isFatal: true,
      async run(mesh, signal) {
        await mesh.identity(signal);
        return PASSED;
      },
    },
    anchors({
      description: "trust anchors are using supported crypto algorithm",
      anchor: "l5d-identity-trustAnchors-use-supported-crypto",
      isFatal: true,
      problem: crypto({ mayBeRsa: true }),
    }),
    anchors({
      description: "trust anchors are within their validity period",
      anchor: "l5d-identity-trustAnchors-are-time-valid",
      isFatal: true,
      problem: (one, { clock }) => timeProblem(one, clock.wallMs()),
    }),
    anchors({
      description: "trust anchors are valid for at least 60 days",
      anchor: "l5d-identity-trustAnchors-not-expiring-soon",
      isWarning: true,
      problem: (one, { clock }) => expiryProblem(one, clock.wallMs()),
    }),
    issuer({
      description: "issuer cert is using supported crypto algorithm",
      anchor: "l5d-identity-issuer-cert-uses-supported-crypto",
      isFatal: true,
      problem: crypto({ mayBeRsa: false }),
    }),
    issuer({
      description: "issuer cert is within its validity period",
      anchor: "l5d-identity-issuer-cert-is-time-valid",
      isFatal: true,
      problem: (one, { clock }) => timeProblem(one, clock.wallMs()),
    }),
    issuer({
      description: "issuer cert is valid for at least 60 days",
      anchor: "l5d-identity-issuer-cert-not-expiring-soon",
      isWarning: true,
      problem: (one, { clock }) => expiryProblem(one, clock.wallMs()),
    }),
    {
      description: "issuer cert is issued by the trust anchor",
      anchor: "l5d-identity-issuer-cert-issued-by-trust-anchor",
      async run(mesh, signal) {
        const { issuer, anchors } = await mesh.identity(signal);
        const { chainProblem } = await import("@heddle/control/identity/chain");
        const problem = chainProblem(issuer, anchors, mesh.clock.wallMs());
        return problem === undefined ? PASSED : failed(problem);
      },
    },
  ],
};

export const DATA_PLANE_IDENTITY: Category = {
  name: "linkerd-identity-data-plane",
  checks: [
    {
      description: "data plane proxies certificate match CA",
      anchor: "l5d-identity-data-plane-proxies-certs-match-ca",
      isWarning: true,
      async run(mesh, signal) {
        const { controlNamespace, dataNamespace } = mesh.options;
        const anchorsPem = await mesh.anchorsPem(signal);
        const pods = await mesh.meshedPods(dataNamespace, signal);
        // The control plane's own proxies take their anchors from the ConfigMap itself.
        const others = pods.filter(({ metadata }) => metadata.namespace !== controlNamespace);
        return failedFor(
          "restart these pods: their proxies have old trust anchors",
          podsWithOtherAnchors(others, anchorsPem).map(podName),
        );
      },
    },
  ],
};

function crypto(allowed: AllowedKeys): Problem {
  return (certificate) => cryptoProblem(certificate, allowed);
}

interface CertificateCheck extends Omit<Check, "run"> {
  readonly problem: Problem;
}

/** Looks at every anchor. */
function anchors({ problem, ...check }: CertificateCheck): Check {
  return {
    ...check,
    async run(mesh, signal) {
      const problems: string[] = [];
      for (const anchor of (await mesh.identity(signal)).anchors) {
        const found = problem(anchor, mesh);
        if (found !== undefined) problems.push(`${certificateName(anchor)} ${found}`);
      }
      return failedFor("not every trust anchor is fit", problems);
    },
  };
}

/** Looks at the issuer itself, not at what its chain has above it. */
function issuer({ problem, ...check }: CertificateCheck): Check {
  return {
    ...check,
    async run(mesh, signal) {
      const certificate = (await mesh.identity(signal)).issuer[0]!;
      const found = problem(certificate, mesh);
      return found === undefined ? PASSED : failed(`the issuer's certificate ${found}`);
    },
  };
}
