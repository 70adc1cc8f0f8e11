import type { Credentials } from "@heddle/net/tls-credentials";

/** Who this proxy is. Certificates change by themselves; each handshake takes the current one. */
export interface Identity extends AsyncDisposable {
  /** What our certificate says: a DNS name or a SPIFFE id. */
  readonly id: string;
  /** The server name by which meshed peers reach us. */
  readonly serverName: string;
  readonly credentials: Credentials;
  /** Whether a first certificate was installed. Never turns false again. */
  readonly isReady: boolean;
  /** Resolves when the first certificate is installed. */
  readonly ready: Promise<void>;
}
