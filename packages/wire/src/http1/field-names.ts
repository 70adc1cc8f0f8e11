import { latin1, TOKEN } from "./ascii.ts";

/**
 * What a field means to framing and connections. Everything that is `ORDINARY` is passed through
 * unread.
 */
export const FieldKind = {
  ORDINARY: 0,
  CONTENT_LENGTH: 1,
  TRANSFER_ENCODING: 2,
  HOST: 3,
  CONNECTION: 4,
  UPGRADE: 5,
  EXPECT: 6,
  /** `keep-alive`, `proxy-connection`: only for this connection, whoever names them or not. */
  HOP_BY_HOP: 7,
  /** `authorization`, cookies: never remembered beyond their message. */
  SECRET: 8,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const KINDS: Readonly<Record<string, FieldKind>> = {
  "content-length": FieldKind.CONTENT_LENGTH,
  "transfer-encoding": FieldKind.TRANSFER_ENCODING,
  host: FieldKind.HOST,
  connection: FieldKind.CONNECTION,
  upgrade: FieldKind.UPGRADE,
  expect: FieldKind.EXPECT,
  "keep-alive": FieldKind.HOP_BY_HOP,
  "proxy-connection": FieldKind.HOP_BY_HOP,
  authorization: FieldKind.SECRET,
  "proxy-authorization": FieldKind.SECRET,
  cookie: FieldKind.SECRET,
  "set-cookie": FieldKind.SECRET,
};

/** Names that are common enough to be there from the start, and never replaced. */
const COMMON_NAMES = `accept accept-charset accept-encoding accept-language accept-ranges
access-control-allow-credentials access-control-allow-headers access-control-allow-methods
access-control-allow-origin access-control-expose-headers access-control-max-age
access-control-request-headers access-control-request-method age allow alt-svc authorization
b3 baggage cache-control connection content-disposition content-encoding content-language
content-length content-location content-range content-security-policy content-type cookie date dnt
etag expect expires forwarded from grpc-accept-encoding grpc-encoding grpc-message grpc-status
grpc-timeout host http2-settings if-match if-modified-since if-none-match if-range
if-unmodified-since keep-alive l5d-client-id l5d-dst-canonical l5d-dst-override l5d-orig-proto
l5d-proxy-connection l5d-proxy-error l5d-require-id last-modified link location max-forwards origin
pragma priority proxy-authenticate proxy-authorization proxy-connection range referer
referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest
sec-fetch-mode sec-fetch-site sec-fetch-user sec-websocket-accept sec-websocket-extensions
sec-websocket-key sec-websocket-protocol sec-websocket-version server server-timing set-cookie
strict-transport-security te timing-allow-origin traceparent tracestate trailer transfer-encoding
upgrade upgrade-insecure-requests user-agent vary via www-authenticate x-b3-parentspanid
x-b3-sampled x-b3-spanid x-b3-traceid x-content-type-options x-envoy-upstream-service-time
x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options x-powered-by
x-real-ip x-request-id x-xss-protection`.split(/\s+/);

const SLOTS = 1024;
const PROBES = 4;

/**
 * Field names as lower-case strings, one string per name, so that comparing them compares
 * pointers. Bounded: names that nobody uses any more make room for others.
 */
export class FieldNames {
  /** What the last `find` found. */
  name = "";
  kind: FieldKind = FieldKind.ORDINARY;
  readonly #names: string[] = new Array<string>(SLOTS).fill("");
  readonly #kinds: Uint8Array = new Uint8Array(SLOTS);
  readonly #isPinned: Uint8Array = new Uint8Array(SLOTS);
  #victim = 0;

  constructor() {
    for (const name of COMMON_NAMES) this.#pin(name);
  }

  /**
   * Looks up the name that starts at `start` and ends before the first byte that is no token
   * character; `name` and `kind` tell what it is. Hot: allocates only for a name not yet known.
   *
   * @returns the position of that byte, or `end`.
   */
  find(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0;
    let at = start;
    for (; at < end; at++) {
      const lower = TOKEN[bytes[at]!]!;
      if (lower === 0) break;
      hash = Math.imul(hash ^ lower, 0x01000193);
    }
    const home = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (home + probe) & (SLOTS - 1);
      const name = this.#names[slot]!;
      if (name.length === at - start && matches(name, bytes, start)) {
        this.name = name;
        this.kind = this.#kinds[slot] as FieldKind;
        return at;
      }
    }
    this.name = latin1(bytes, start, at).toLowerCase();
    this.kind = KINDS[this.name] ?? FieldKind.ORDINARY;
    // Long names are nobody's habit.
    if (at - start <= 64) this.#remember(home);
    return at;
  }

  #remember(home: number): void {
    this.#victim = (this.#victim + 1) % PROBES;
    const slot = (home + this.#victim) & (SLOTS - 1);
    if (this.#isPinned[slot] !== 0) return;
    this.#names[slot] = this.name;
    this.#kinds[slot] = this.kind;
  }

  #pin(name: string): void {
    let hash = 0;
    for (let at = 0; at < name.length; at++) {
      hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
    }
    const home = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    for (let probe = 0; probe < PROBES; probe++) {
      const slot = (home + probe) & (SLOTS - 1);
      if (this.#isPinned[slot] !== 0) continue;
      this.#names[slot] = name;
      this.#kinds[slot] = KINDS[name] ?? FieldKind.ORDINARY;
      this.#isPinned[slot] = 1;
      return;
    }
  }
}

function matches(name: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < name.length; i++) {
    if (name.charCodeAt(i) !== TOKEN[bytes[start + i]!]) return false;
  }
  return true;
}
