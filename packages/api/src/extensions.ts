/** Metadata by which a proxy says which of Heddle's extensions it reads, separated by commas. */
export const EXTENSIONS_METADATA = "heddle-proxy-extensions";

/** It reads `heddle_spiffe_trust_domains` (docs/wire/proxy-api-extensions.md). */
export const SPIFFE_TRUST_DOMAINS = "spiffe-trust-domains";
