import { createHash, type KeyObject, sign, verify } from "node:crypto";
import { isObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";

/** A pair of P-256 keys that signs tokens, and its name in their headers. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly keyId: string;
}

/** Longer texts are no tokens of ours. */
const MAX_TOKEN_CHARS = 8 * 1024;

export function signingKey(privateKey: KeyObject, publicKey: KeyObject): SigningKey {
  const der = publicKey.export({ type: "spki", format: "der" });
  return { privateKey, publicKey, keyId: createHash("sha256").update(der).digest("base64url") };
}

/** A JSON web token (RFC 7519), signed with ES256. */
export function signJwt(claims: JsonObject, key: SigningKey): string {
  const head = encode({ alg: "ES256", typ: "JWT", kid: key.keyId });
  const body = `${head}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(body), {
    key: key.privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return `${body}.${signature.toString("base64url")}`;
}

/** The claims of a token that `key` has signed; undefined if it is not such a token. */
export function verifyJwt(token: string, key: SigningKey): JsonObject | undefined {
  if (token.length > MAX_TOKEN_CHARS) return undefined;
  const [head = "", body = "", signature = "", extra] = token.split(".");
  if (extra !== undefined) return undefined;
  const header = decode(head);
  // Only our own algorithm and key: a token does not choose how it is judged.
  if (!isObject(header) || header["alg"] !== "ES256" || header["kid"] !== key.keyId) {
    return undefined;
  }
  const isSigned = verify(
    "sha256",
    Buffer.from(`${head}.${body}`),
    { key: key.publicKey, dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"),
  );
  const claims = isSigned ? decode(body) : undefined;
  return isObject(claims) ? claims : undefined;
}

function encode(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function decode(text: string): Json | undefined {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString()) as Json;
  } catch {
    // Not JSON, so not a token.
    return undefined;
  }
}
