/** The static table of RFC 7541, appendix A, as name, value, name, value, …; index 1 comes first. */
const FIELDS: readonly string[] = [
  ...[":authority", "", ":method", "GET", ":method", "POST", ":path", "/"],
  ...[":path", "/index.html", ":scheme", "http", ":scheme", "https", ":status", "200"],
  ...[":status", "204", ":status", "206", ":status", "304", ":status", "400"],
  ...[":status", "404", ":status", "500", "accept-charset", ""],
  ...["accept-encoding", "gzip, deflate", "accept-language", "", "accept-ranges", ""],
  ...["accept", "", "access-control-allow-origin", "", "age", "", "allow", ""],
  ...["authorization", "", "cache-control", "", "content-disposition", ""],
  ...["content-encoding", "", "content-language", "", "content-length", ""],
  ...["content-location", "", "content-range", "", "content-type", "", "cookie", ""],
  ...["date", "", "etag", "", "expect", "", "expires", "", "from", "", "host", ""],
  ...["if-match", "", "if-modified-since", "", "if-none-match", "", "if-range", ""],
  ...["if-unmodified-since", "", "last-modified", "", "link", "", "location", ""],
  ...["max-forwards", "", "proxy-authenticate", "", "proxy-authorization", "", "range", ""],
  ...["referer", "", "refresh", "", "retry-after", "", "server", "", "set-cookie", ""],
  ...["strict-transport-security", "", "transfer-encoding", "", "user-agent", "", "vary", ""],
  ...["via", "", "www-authenticate", ""],
];

/** Indices above this one are in the dynamic table. */
export const STATIC_LAST = 61;

/** By index, 1 to 61. */
export const STATIC_NAMES: readonly string[] = ["", ...FIELDS.filter((_, i) => i % 2 === 0)];
export const STATIC_VALUES: readonly string[] = ["", ...FIELDS.filter((_, i) => i % 2 === 1)];

/** What the table knows of one name. */
export interface StaticName {
  /** The first index with this name. */
  readonly index: number;
  /** How many indices from there on carry a value. */
  readonly values: number;
}

export const STATIC_BY_NAME: ReadonlyMap<string, StaticName> = byName();

function byName(): Map<string, StaticName> {
  const out = new Map<string, { index: number; values: number }>();
  for (let index = 1; index <= STATIC_LAST; index++) {
    const name = STATIC_NAMES[index]!;
    const value = STATIC_VALUES[index]!;
    let known = out.get(name);
    if (known === undefined) {
      known = { index, values: 0 };
      out.set(name, known);
    }
    if (value !== "") known.values++;
  }
  return out;
}
