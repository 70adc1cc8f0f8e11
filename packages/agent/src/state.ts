import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
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

/** The files of one membership, for its owner's eyes only. `leave` removes the folder with all of it. */
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

  /**
   * Makes the folder, or takes one that is there and holds nothing of anybody else's.
   *
   * @throws MeshError `state_dir_taken`: `leave` would remove what is not ours.
   */
  prepare(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const ours = [this.key, this.svid, this.workloadSocket, this.adminSocket, this.log];
    const names = [...ours, this.#membership].map((path) => basename(path));
    const foreign = readdirSync(this.path).filter((name) => !names.includes(withoutDraft(name)));
    if (foreign.length > 0) {
      const message = `Cannot keep a membership in ${this.path}: it holds ${foreign[0]}, which is not ours; name a folder of its own with --state-dir`;
      throw new MeshError("state_dir_taken", "client", message);
    }
    chmodSync(this.path, 0o700);
  }

  /** Members of this group may pass through the folder, to a socket that is theirs; not look around. */
  letThrough(gid: number): void {
    chownSync(this.path, process.getuid!(), gid);
    chmodSync(this.path, 0o710);
  }

  write(membership: Membership): void {
    writeDurably(this.#membership, `${JSON.stringify(membership, null, 2)}\n`);
  }

  writeKey(pem: string): void {
    writeDurably(this.key, pem);
  }

  writeSvid(pem: string): void {
    writeDurably(this.svid, pem);
  }

  /** Leaves nothing behind. */
  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  get #membership(): string {
    return join(this.path, "membership.json");
  }
}

const DRAFT = ".new";

function withoutDraft(name: string): string {
  return name.endsWith(DRAFT) ? name.slice(0, -DRAFT.length) : name;
}

/** Whole or not at all, and there after a crash: a new file, synced, then renamed over the old. */
function writeDurably(path: string, text: string): void {
  const draft = `${path}${DRAFT}`;
  // One that a crash left behind may have any mode.
  rmSync(draft, { force: true });
  const file = openSync(draft, "wx", 0o600);
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
