import { DerReader, malformed, Tag } from "./der.ts";
import { dnsId, uriId } from "./id.ts";

/** A subjectAltName entry of the two kinds that can be an identity, exactly as it stands there. */
export interface San {
  readonly kind: "dns" | "uri";
  readonly value: string;
}

export type KeyType = "ec-p256" | "ec-p384" | "ec-p521" | "ed25519" | "rsa" | "other";

/** What we judge of a peer's certificate. Its chain is the TLS library's to judge. */
export interface Leaf {
  /** DNS names and URIs in certificate order; other kinds are left out. */
  readonly sans: readonly San[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** OIDs; undefined if there is no such extension, and the key may be used for everything. */
  readonly extendedKeyUsage: readonly string[] | undefined;
  /** basicConstraints cA. */
  readonly isCa: boolean;
  readonly keyType: KeyType;
  /** The SubjectPublicKeyInfo in DER. A view into the certificate. */
  readonly publicKey: Uint8Array;
  /** Lower-case hex, without leading zero octets. */
  readonly serialNumber: string;
}

const MAX_CERTIFICATE_BYTES = 65_536;
const MAX_SANS = 256;
const MAX_SAN_BYTES = 2_048;
const MAX_EXTENSIONS = 64;

/**
 * Parses an X.509 v3 certificate (RFC 5280) as far as `Leaf` goes; the rest must still be DER.
 *
 * @throws MeshError `bad_certificate`: not DER, over a limit, an extension that stands twice, a SAN
 * with control bytes, blanks or anything beyond ASCII.
 */
export function parseLeaf(der: Uint8Array): Leaf {
  if (der.length > MAX_CERTIFICATE_BYTES) throw malformed(`${der.length} bytes`);
  const outer = new DerReader(der);
  const certificate = outer.inside(Tag.sequence);
  outer.finish();
  const tbs = certificate.inside(Tag.sequence);
  certificate.next(Tag.sequence);
  certificate.next(Tag.bitString);
  certificate.finish();

  if (tbs.peekTag() === 0xa0) tbs.next();
  tbs.next(Tag.integer);
  const serialNumber = Buffer.from(tbs.content())
    .toString("hex")
    .replace(/^(00)+(?=..)/, "");
  tbs.next(Tag.sequence);
  tbs.next(Tag.sequence);
  const validity = tbs.inside(Tag.sequence);
  const notBeforeMs = readTime(validity);
  const notAfterMs = readTime(validity);
  validity.finish();
  tbs.next(Tag.sequence);
  const keyStart = tbs.at;
  const keyType = readKeyType(tbs.inside(Tag.sequence));
  const publicKey = der.subarray(keyStart, tbs.at);
  const extensions = readExtensions(tbs);
  return { notBeforeMs, notAfterMs, keyType, publicKey, serialNumber, ...extensions };
}

/** The identity that a certificate proves as a client: its first SAN that is one, normalised. */
export function clientIdentity(leaf: Leaf): string | undefined {
  for (const san of leaf.sans) {
    const id = idOf(san);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** Whether any SAN is `id`, which must be normalised (`parseId`). There is no fallback to CN. */
export function hasIdentity(leaf: Leaf, id: string): boolean {
  return leaf.sans.some((san) => idOf(san) === id);
}

function idOf(san: San): string | undefined {
  return san.kind === "dns" ? dnsId(san.value) : uriId(san.value);
}

type Extensions = Pick<Leaf, "sans" | "extendedKeyUsage" | "isCa">;

function readExtensions(tbs: DerReader): Extensions {
  let sans: readonly San[] = [];
  let extendedKeyUsage: readonly string[] | undefined;
  let isCa = false;
  while (!tbs.isAtEnd) {
    tbs.next();
    if (tbs.tag !== 0xa3) continue;
    const wrapper = new DerReader(tbs.bytes, tbs.contentStart, tbs.contentEnd);
    tbs.finish();
    const list = wrapper.inside(Tag.sequence);
    wrapper.finish();
    const seen = new Set<string>();
    while (!list.isAtEnd) {
      const extension = list.inside(Tag.sequence);
      const oid = extension.oid();
      if (seen.has(oid)) throw malformed(`extension ${oid} stands twice`);
      if (seen.add(oid).size > MAX_EXTENSIONS) throw malformed("too many extensions");
      if (extension.peekTag() === Tag.boolean) extension.next();
      extension.next(Tag.octetString);
      extension.finish();
      const value = new DerReader(tbs.bytes, extension.contentStart, extension.contentEnd);
      if (oid === "2.5.29.17") sans = readSans(value);
      else if (oid === "2.5.29.37") extendedKeyUsage = readKeyPurposes(value);
      else if (oid === "2.5.29.19") isCa = readIsCa(value);
    }
  }
  return { sans, extendedKeyUsage, isCa };
}

function readSans(value: DerReader): San[] {
  const names = value.inside(Tag.sequence);
  value.finish();
  const sans: San[] = [];
  let count = 0;
  while (!names.isAtEnd) {
    names.next();
    if (++count > MAX_SANS) throw malformed("too many alternative names");
    // Context tags of GeneralName: [2] dNSName, [6] uniformResourceIdentifier, both IA5String.
    if (names.tag === 0x82) sans.push({ kind: "dns", value: readName(names.content()) });
    else if (names.tag === 0x86) sans.push({ kind: "uri", value: readName(names.content()) });
  }
  return sans;
}

/** Control bytes and the like hide names from people and from weaker parsers: refused. */
function readName(content: Uint8Array): string {
  if (content.length > MAX_SAN_BYTES) throw malformed("an alternative name is too long");
  for (const octet of content) {
    if (octet <= 0x20 || octet >= 0x7f) throw malformed("an alternative name with odd bytes");
  }
  return Buffer.from(content).toString("latin1");
}

function readKeyPurposes(value: DerReader): string[] {
  const list = value.inside(Tag.sequence);
  value.finish();
  const purposes: string[] = [];
  while (!list.isAtEnd) purposes.push(list.oid());
  return purposes;
}

function readIsCa(value: DerReader): boolean {
  const constraints = value.inside(Tag.sequence);
  value.finish();
  if (constraints.peekTag() !== Tag.boolean) return false;
  constraints.next();
  return constraints.content()[0] === 0xff;
}

const CURVES: Readonly<Record<string, KeyType>> = {
  "1.2.840.10045.3.1.7": "ec-p256",
  "1.3.132.0.34": "ec-p384",
  "1.3.132.0.35": "ec-p521",
};

function readKeyType(info: DerReader): KeyType {
  const algorithm = info.inside(Tag.sequence);
  info.next(Tag.bitString);
  info.finish();
  const oid = algorithm.oid();
  if (oid === "1.3.101.112") return "ed25519";
  if (oid === "1.2.840.113549.1.1.1") return "rsa";
  if (oid !== "1.2.840.10045.2.1" || algorithm.peekTag() !== Tag.oid) return "other";
  return CURVES[algorithm.oid()] ?? "other";
}

/** UTCTime until 2049, GeneralizedTime from then on (RFC 5280 4.1.2.5), both in whole seconds, Z. */
function readTime(validity: DerReader): number {
  validity.next();
  const text = Buffer.from(validity.content()).toString("latin1");
  const isShort = validity.tag === Tag.utcTime;
  if (!isShort && validity.tag !== Tag.generalizedTime) throw malformed("a time of another type");
  const match = (isShort ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : GENERALIZED).exec(text);
  if (match === null) throw malformed("a time that is not in DER's form");
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as Parts;
  const century = !isShort ? 0 : year < 50 ? 2000 : 1900;
  const time = Date.UTC(2000, month - 1, day, hour, minute, second);
  const date = new Date(time);
  date.setUTCFullYear(century + year, month - 1, day);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isReal || hour > 23 || minute > 59 || second > 59) throw malformed("a time that is none");
  return date.getTime();
}

const GENERALIZED = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

type Parts = [number, number, number, number, number, number];
