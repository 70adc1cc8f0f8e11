import type { EventRecorder } from "@heddle/kube/events";
import type { AlarmedKind } from "./expiry-alarms.ts";
import type { TokenOwner } from "./token-review.ts";

/** What identity tells the API about itself, under Linkerd's reasons. */
export class IdentityEvents {
  readonly #recorder: EventRecorder;
  readonly #controlNamespace: string;

  constructor(recorder: EventRecorder, controlNamespace: string) {
    this.#recorder = recorder;
    this.#controlNamespace = controlNamespace;
  }

  leafIssued(owner: TokenOwner, expires: string, sha256: string): void {
    this.#recorder.record({
      about: {
        apiVersion: "v1",
        kind: "ServiceAccount",
        namespace: owner.namespace,
        name: owner.serviceAccount,
      },
      type: "Normal",
      reason: "IssuedLeafCertificate",
      message: `issued certificate for ${owner.identity} until ${expires}: ${sha256}`,
    });
  }

  issuerUpdated(expires: string): void {
    this.#aboutUs("Normal", "IssuerUpdated", `loaded a new issuer, valid until ${expires}`);
  }

  issuerUpdateSkipped(problem: string): void {
    this.#aboutUs("Warning", "IssuerUpdateSkipped", `kept the old issuer: ${problem}`);
  }

  issuerValidationFailed(problem: string): void {
    this.#aboutUs("Warning", "IssuerValidationFailed", `the issuer may not issue: ${problem}`);
  }

  /** @param expires - In ISO 8601. */
  expires(kind: AlarmedKind, expires: string, hasExpired: boolean): void {
    const [reason, what] =
      kind === "issuer" ? ["Issuer", "the issuer"] : ["TrustAnchors", "the last trust anchor"];
    if (hasExpired) this.#aboutUs("Warning", `${reason}Expired`, `${what} expired on ${expires}`);
    else
      this.#aboutUs("Warning", `${reason}ExpiresSoon`, `${what} expires on ${expires}: replace it`);
  }

  #aboutUs(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#recorder.record({
      about: {
        apiVersion: "apps/v1",
        kind: "Deployment",
        namespace: this.#controlNamespace,
        name: "linkerd-identity",
      },
      type,
      reason,
      message,
    });
  }
}
