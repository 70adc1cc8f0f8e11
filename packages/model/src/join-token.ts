import { createHmac } from "node:crypto";

/**
 * What `heddle invite` prints and `heddle join` takes: everything that a machine needs to find the
 * mesh, to know it when it sees it, and to be let in once.
 */
export interface JoinToken {
  /** Names the invitation in the store; not secret. */
  readonly id: string;
  /** Proves that its holder was invited, by way of `joinProof`; it is sent to nobody. */
  readonly secret: string;
  /** Where the control plane answers, `address:port` each, in the order to try. */
  readonly addresses: readonly string[];
  /** SHA-256 of the trust anchor's DER, hexadecimal. The machine trusts no other. */
  readonly fingerprint: string;
  /** The name on the certificate of the join endpoint. */
  readonly serverName: string;
  /** The trust domain of the machine's id to be. */
  readonly trustDomain: string;
  readonly namespace: string;
  readonly name: string;
  /** The network that the machine is in; machines of one network reach each other. */
  readonly network: string;
  /** The ports that it will serve on, so that the machine can look at them before it asks. */
  readonly ports: readonly number[];
  /** Seconds since the Unix epoch. The store has the last word; this one saves a vain attempt. */
  readonly expires: number;
}

const PREFIX = "hdl1.";
/** Addresses and names of any sane length fit many times over. */
const MAX_CHARS = 4_096;

export function formatJoinToken(token: JoinToken): string {
  return PREFIX + Buffer.from(JSON.stringify(token)).toString("base64url");
}

/**
 * What a machine shows in place of the secret: it depends on every part of the token, so a token
 * that was changed anywhere is as good as an unknown one. The store keeps only a hash of it.
 */
export function joinProof(token: JoinToken): string {
  const { secret, ...rest } = token;
  const parts = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHmac("sha256", secret).update(JSON.stringify(parts)).digest("base64url");
}

/** @throws SyntaxError that says what is wrong with the text, without repeating it: it is secret. */
export function parseJoinToken(text: string): JoinToken {
  const trimmed = text.trim();
  if (!trimmed.startsWith(PREFIX)) {
    throw new SyntaxError(
      `a token starts with "${PREFIX}"; copy the whole line that invite printed`,
    );
  }
  if (trimmed.length > MAX_CHARS) throw new SyntaxError("the token is too long to be one");
  const encoded = trimmed.slice(PREFIX.length);
  if (!/^[\w-]+$/.test(encoded)) throw new SyntaxError("the token has characters that none has");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(encoded, "base64url").toString("utf8"));
  } catch {
    // The parser's message would quote the secret.
    throw new SyntaxError("the token is damaged; copy the whole line that invite printed");
  }
  if (!isJoinToken(value)) throw new SyntaxError("the token lacks a part; was it cut off?");
  return value;
}

function isJoinToken(value: unknown): value is JoinToken {
  if (typeof value !== "object" || value === null) return false;
  const token = value as Partial<Record<keyof JoinToken, unknown>>;
  const { id, secret, serverName, trustDomain, namespace, name } = token;
  const texts = [id, secret, serverName, trustDomain, namespace, name];
  return (
    texts.every((text) => typeof text === "string" && text !== "") &&
    typeof token.network === "string" &&
    typeof token.fingerprint === "string" &&
    /^[0-9a-f]{64}$/.test(token.fingerprint) &&
    typeof token.expires === "number" &&
    Array.isArray(token.ports) &&
    token.ports.every((port) => Number.isInteger(port)) &&
    Array.isArray(token.addresses) &&
    token.addresses.length > 0 &&
    token.addresses.every((address) => typeof address === "string")
  );
}
