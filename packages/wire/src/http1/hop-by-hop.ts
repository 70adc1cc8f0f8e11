import type { HeaderMap } from "../http/headers.ts";

/** What `connection` may not name away: without them the message would be another one. */
const KEPT = new Set(["host", "content-length", "transfer-encoding"]);

/**
 * Removes what is for one connection only (RFC 9110 section 7.6.1): `connection` and every field
 * it names, `keep-alive`, `proxy-connection`, `upgrade`, and the settings of an h2c upgrade. Not
 * for upgrades, whose fields go through untouched.
 */
export function stripHopByHop(headers: HeaderMap): void {
  const connection = headers.get("connection");
  if (connection !== undefined) {
    if (connection !== "close" && connection !== "keep-alive") stripNamed(headers);
    headers.delete("connection");
  }
  headers.delete("keep-alive");
  headers.delete("proxy-connection");
  if (headers.has("upgrade")) {
    headers.delete("upgrade");
    headers.delete("http2-settings");
  }
}

function stripNamed(headers: HeaderMap): void {
  for (const value of headers.getAll("connection")) {
    for (const option of value.split(",")) {
      const name = option.trim().toLowerCase();
      if (name !== "" && !KEPT.has(name)) headers.delete(name);
    }
  }
}
