/** Foreign proxies to be measured beside ours: their configurations, certificates and processes. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TEMPLATES = join(import.meta.dirname, "peers");
const SEARCH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
const START_MS = 5_000;

/** What a configuration's placeholders stand for. */
export interface Places {
  readonly folder: string;
  /** Where the HTTP application listens, and where the one for streams does. */
  readonly app: string;
  readonly stream: string;
  /** For the foreign proxies themselves. */
  readonly peer: string;
}

const NAMES = {
  SERVER: "server.default.serviceaccount.identity.linkerd.cluster.local",
  CLIENT: "client.default.serviceaccount.identity.linkerd.cluster.local",
} as const;

/** Programs of Debian that a benchmark cannot do without. @throws naming what is missing. */
export function requirePrograms(needs: Readonly<Record<string, string>>): void {
  const folders = SEARCH.split(":");
  const missing = Object.entries(needs).filter(
    ([program]) => !folders.some((folder) => existsSync(join(folder, program))),
  );
  if (missing.length === 0) return;
  const packages = missing.map(([, debian]) => debian).join(" ");
  throw new Error(`Cannot measure: missing programs; apt-get install ${packages}`);
}

/** Writes a configuration with its placeholders filled in. @returns its path. */
export function configure(name: string, places: Places): string {
  const { folder, app, stream, peer } = places;
  const values: Readonly<Record<string, string>> = {
    ...NAMES,
    FOLDER: folder,
    APP: app,
    STREAM: stream,
    PEER: peer,
  };
  const template = readFileSync(join(TEMPLATES, name), "utf8");
  const path = join(folder, name);
  const text = template.replace(/@([A-Z]+)@/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`Cannot fill in ${name}: no value for ${key}`);
    return value;
  });
  writeFileSync(path, text);
  return path;
}

/** An authority and one certificate of ECDSA P-256 for each side, key and chain in one file. */
export function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    const { status, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot make certificate: ${stderr}`);
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const root = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=bench"];
  openssl("req", "-x509", ...key, ...root);
  for (const [side, name] of Object.entries(NAMES)) {
    const file = side.toLowerCase();
    const leaf = ["-keyout", `${file}.key`, "-out", `${file}.crt`, "-subj", `/CN=${name}`];
    const names = ["-addext", `subjectAltName=DNS:${name}`];
    openssl("req", "-x509", ...key, ...leaf, ...names, "-CA", "ca.pem", "-CAkey", "ca.key");
    const parts = ["crt", "key"].map((kind) => readFileSync(join(folder, `${file}.${kind}`)));
    writeFileSync(join(folder, `${file}.pem`), Buffer.concat(parts), { mode: 0o600 });
  }
}

/** The files that the application serves. */
export function makeSite(folder: string): void {
  mkdirSync(join(folder, "www"), { recursive: true });
  writeFileSync(join(folder, "www", "10k"), "b".repeat(10_240));
}

/** The command line that runs a program on one core only. */
export function pinned(core: number, command: readonly string[]): string[] {
  return ["taskset", "-c", String(core), ...command];
}

export interface PeerPair extends AsyncDisposable {
  readonly pids: readonly number[];
}

/** Starts two processes of one kind and waits until the first one's port takes connections. */
export async function startPeers(
  core: number,
  commands: readonly (readonly string[])[],
  host: string,
  port: number,
): Promise<PeerPair> {
  const children = commands.map((command) => {
    const [program, ...args] = pinned(core, command);
    const env = { ...process.env, PATH: SEARCH };
    return spawn(program!, args, { stdio: ["ignore", "ignore", "inherit"], env });
  });
  const close = async (): Promise<void> => {
    await Promise.all(children.map(ended));
  };
  try {
    await accepting(host, port, START_MS);
  } catch (error) {
    await close();
    throw error;
  }
  return { pids: children.map((child) => child.pid!), [Symbol.asyncDispose]: close };
}

/** Resolves when a port takes connections. @throws when it does not in time. */
export async function accepting(host: string, port: number, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await takesConnection(host, port))) {
    if (performance.now() > deadline) throw new Error(`Cannot reach ${host}:${port}`);
    await sleep(2);
  }
}

function takesConnection(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}
