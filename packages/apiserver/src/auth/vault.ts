import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "@heddle/base/clock";
import { MeshError } from "@heddle/base/errors";
import { type Credentials, createAuthority, createLeaf, validityOf } from "./certificates.ts";
import { type SigningKey, signingKey } from "./jwt.ts";

/** What the file holds. */
interface Contents {
  readonly format: 1;
  /** Oldest first. */
  readonly authorities: readonly Credentials[];
  /** Signs the tokens of service accounts; PKCS#8 PEM. */
  readonly accountKeyPem: string;
  readonly adminToken: string;
  readonly controlToken: string;
}

const DAY_MS = 86_400_000;
const AUTHORITY_LIFE_MS = 3_650 * DAY_MS;
const SERVER_LIFE_MS = 90 * DAY_MS;
const CLIENT_LIFE_MS = 365 * DAY_MS;
/** Clocks of clients may be behind. */
const SKEW_MS = 5 * 60_000;

/**
 * The server's secrets, in one file that only its owner may read: certificate authorities, the key
 * for tokens, two static tokens. A new authority is made at half of the newest one's life and
 * signs only when the old one has a quarter left, so that every client can have learnt of it.
 */
export class Vault {
  readonly #path: string;
  readonly #clock: Clock;
  #contents: Contents;
  readonly #accountKey: SigningKey;

  /** Reads the vault of a data directory, or makes one. */
  static async open(dataDir: string, clock: Clock): Promise<Vault> {
    const path = join(dataDir, "vault.json");
    const vault = new Vault(path, clock, readContents(path) ?? (await newContents(clock)));
    vault.#save();
    await vault.rotate();
    return vault;
  }

  private constructor(path: string, clock: Clock, contents: Contents) {
    this.#path = path;
    this.#clock = clock;
    this.#contents = contents;
    const key = createPrivateKey(contents.accountKeyPem);
    this.#accountKey = signingKey(key, createPublicKey(key));
  }

  get accountKey(): SigningKey {
    return this.#accountKey;
  }

  get adminToken(): string {
    return this.#contents.adminToken;
  }

  get controlToken(): string {
    return this.#contents.controlToken;
  }

  /** All authorities that clients should trust. */
  get bundlePem(): string {
    return this.#contents.authorities
      .map(({ certificatePem }) => `${certificatePem.trim()}\n`)
      .join("");
  }

  /** A new certificate for the server, and when to ask for the next one. */
  async issueServer(
    names: readonly string[],
  ): Promise<Credentials & { readonly renewAtMs: number }> {
    const nowMs = this.#clock.wallMs();
    const authority = this.#signer();
    const notAfterMs = Math.min(
      nowMs + SERVER_LIFE_MS,
      validityOf(authority.certificatePem).notAfterMs,
    );
    const leaf = await createLeaf(authority, {
      commonName: "heddle-apiserver",
      use: "server",
      names,
      notBeforeMs: nowMs - SKEW_MS,
      notAfterMs,
    });
    return { ...leaf, renewAtMs: nowMs + ((notAfterMs - nowMs) * 2) / 3 };
  }

  /** A certificate with which a client is `user` in `groups`. */
  async issueClient(
    user: string,
    groups: readonly string[],
    lifeMs: number = CLIENT_LIFE_MS,
  ): Promise<Credentials> {
    const nowMs = this.#clock.wallMs();
    return await createLeaf(this.#signer(), {
      commonName: user,
      groups,
      use: "client",
      notBeforeMs: nowMs - SKEW_MS,
      notAfterMs: nowMs + lifeMs,
    });
  }

  /** Drops authorities that have expired and adds one in time. True if anything changed. */
  async rotate(): Promise<boolean> {
    const nowMs = this.#clock.wallMs();
    const living = this.#contents.authorities.filter(
      ({ certificatePem }) => validityOf(certificatePem).notAfterMs > nowMs,
    );
    const newest = living.at(-1);
    if (newest === undefined || remainingPart(newest, nowMs) < 0.5) {
      living.push(await newAuthority(nowMs));
    }
    if (living.length === this.#contents.authorities.length && newest === living.at(-1))
      return false;
    this.#contents = { ...this.#contents, authorities: living };
    this.#save();
    return true;
  }

  #signer(): Credentials {
    const nowMs = this.#clock.wallMs();
    const { authorities } = this.#contents;
    const steady = authorities.find((authority) => remainingPart(authority, nowMs) > 0.25);
    const signer = steady ?? authorities.at(-1);
    if (signer === undefined) throw new Error("the vault has no authority");
    return signer;
  }

  /** Whole or not at all: the old file stays until the new one is on the disk. */
  #save(): void {
    const next = `${this.#path}.next`;
    writeDurably(next, `${JSON.stringify(this.#contents)}\n`);
    renameSync(next, this.#path);
    const folder = openSync(dirname(this.#path), "r");
    fsyncSync(folder);
    closeSync(folder);
  }
}

/** Writes a file that only its owner may read, through to the disk. */
export function writeDurably(path: string, text: string): void {
  const file = openSync(path, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function readContents(path: string): Contents | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MeshError("bad_vault", "self", `Cannot read ${path}`, { cause: error });
  }
  try {
    const contents = JSON.parse(text) as Contents;
    if (contents.format === 1) return contents;
  } catch (error) {
    throw new MeshError("bad_vault", "self", `Cannot read ${path}: it is damaged`, {
      cause: error,
    });
  }
  throw new MeshError("bad_vault", "self", `Cannot read ${path}: its format is unknown`);
}

async function newContents(clock: Clock): Promise<Contents> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    format: 1,
    authorities: [await newAuthority(clock.wallMs())],
    accountKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    adminToken: randomBytes(32).toString("base64url"),
    controlToken: randomBytes(32).toString("base64url"),
  };
}

async function newAuthority(nowMs: number): Promise<Credentials> {
  return await createAuthority(
    `heddle-apiserver-ca-${new Date(nowMs).toISOString().slice(0, 10)}`,
    {
      notBeforeMs: nowMs - SKEW_MS,
      notAfterMs: nowMs + AUTHORITY_LIFE_MS,
    },
  );
}

/** How much of its life an authority still has, 0 to 1. */
function remainingPart({ certificatePem }: Credentials, nowMs: number): number {
  const { notBeforeMs, notAfterMs } = validityOf(certificatePem);
  return (notAfterMs - nowMs) / (notAfterMs - notBeforeMs);
}
