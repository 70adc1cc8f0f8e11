import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MeshError } from "@heddle/base/errors";
import type { DeclaredListener, MeshSettings } from "@heddle/inject/proxy-env";
import type { MachinePort } from "@heddle/model/invite";

/** What a machine remembers of its membership. Holds no secret: key and SVID are files of their own. */
export interface Membership {
  readonly namespace: string;
  readonly name: string;
  readonly network: string;
  readonly spiffeId: string;
  /** The DNS name that its proxy answers to in TLS. */
  readonly serverName: string;
  readonly ports: readonly MachinePort[];
  readonly mesh: MeshSettings;
  /** The control plane's join endpoint: addresses to try, and the name on its certificate. */
  readonly expansion: { readonly addresses: readonly string[]; readonly serverName: string };
  /** The address at which the mesh reaches this machine. */
  readonly ip: string;
  /** Where the application listens, if not at `ip`. */
  readonly appIp?: string;
  readonly mode: "captured" | "rootless";
  readonly listeners: readonly DeclaredListener[];
  /** An application port may listen where the mesh can be gone around. */
  readonly allowBypass: boolean;
}

/** The files of one membership. */
export class StateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** PKCS#8, PEM; never leaves the machine. */
  get key(): string {
    return join(this.path, "key.pem");
  }

  /** The SVID's chain, PEM, leaf first. */
  get svid(): string {
    return join(this.path, "svid.pem");
  }

  /** The SPIFFE Workload API. */
  get workloadSocket(): string {
    return join(this.path, "workload.sock");
  }

  /** What `status` and `leave` talk to. */
  get adminSocket(): string {
    return join(this.path, "agent.sock");
  }

  get log(): string {
    return join(this.path, "agent.log");
  }

  /** @throws MeshError `not_joined` if there is no membership here. */
  read(): Membership {
    try {
      return JSON.parse(readFileSync(this.#membership, "utf8")) as Membership;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      const message = `Cannot find a membership in ${this.path}: this machine has not joined a mesh, or did so with another --state-dir`;
      throw new MeshError("not_joined", "self", message);
    }
  }

  get exists(): boolean {
    try {
      this.read();
      return true;
    } catch (error) {
      if (error instanceof MeshError) return false;
      throw error;
    }
  }

  write(membership: Membership): void {
    mkdirSync(this.path, { recursive: true, mode: 0o755 });
    writeDurably(this.#membership, `${JSON.stringify(membership, null, 2)}\n`, 0o600);
  }

  writeKey(pem: string): void {
    mkdirSync(this.path, { recursive: true, mode: 0o755 });
    writeDurably(this.key, pem, 0o600);
  }

  writeSvid(pem: string): void {
    writeDurably(this.svid, pem, 0o644);
  }

  /** Leaves nothing behind. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  get #membership(): string {
    return join(this.path, "membership.json");
  }
}

/** Whole or not at all, and there after a crash: a new file, synced, then renamed over the old. */
function writeDurably(path: string, text: string, mode: number): void {
  const draft = `${path}.new`;
  const file = openSync(draft, "w", mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
