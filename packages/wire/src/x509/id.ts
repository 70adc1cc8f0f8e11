const MAX_NAME_LENGTH = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * An identity from configuration, discovery or a header, normalised: a DNS name in lower case, else
 * a URI as the URL standard writes it. The two never collide, since only a URI has a colon.
 *
 * @throws SyntaxError if it is neither.
 */
export function parseId(text: string): string {
  const id = dnsId(text) ?? uriId(text);
  if (id === undefined) throw new SyntaxError(`"${text}" is neither a DNS name nor a URI`);
  return id;
}

/** A DNS name in lower case; undefined if it is none, or ends with a dot, or looks like an IP. */
export function dnsId(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_NAME_LENGTH) return undefined;
  const name = text.toLowerCase();
  const labels = name.split(".");
  if (!labels.every((label) => LABEL.test(label))) return undefined;
  return /^\d+$/.test(labels.at(-1)!) ? undefined : name;
}

/** An absolute URI as the URL standard writes it; undefined if it is none. */
export function uriId(text: string): string | undefined {
  // The URL parser drops blanks and control bytes; an identity must not change by being read.
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= 0x20 || unit >= 0x7f) return undefined;
  }
  return URL.parse(text)?.href;
}
