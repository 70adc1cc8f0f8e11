/**
 * Files of Debian packages for any architecture, from the sources that this machine trusts. Nothing
 * is installed: apt works with a state of its own, of a system that has no packages.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { cacheDir } from "../tools.ts";
import type { Architecture } from "./oci.ts";

const SOURCES = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
const PROGRAMS = ["apt-get", "dpkg-deb"];
const LISTS_LAST_MS = 24 * 3_600_000;

/** One file, link or folder of a package, unpacked. */
export interface PackageFile {
  /** In the image: below `usr` even where the package still says `lib` or `bin`. */
  readonly path: string;
  /** On this machine. */
  readonly source: string;
  /** Of a link. */
  readonly target: string | undefined;
  readonly mode: number;
  /** The package's name. */
  readonly owner: string;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** What dpkg would note of it, which is also what scanners read. */
  readonly control: string;
}

/** Everything in some packages and in those they depend on. */
export interface Pool {
  readonly files: ReadonlyMap<string, PackageFile>;
  readonly packages: ReadonlyMap<string, DebianPackage>;
}

/** Why packages cannot be had here, if so. */
export function debianProblem(): string | undefined {
  const absent = PROGRAMS.filter((program) => spawnSync(program, ["--version"]).status !== 0);
  if (absent.length > 0) return `not installed: ${absent.join(", ")}`;
  return SOURCES.some((path) => existsSync(path)) ? undefined : "no Debian sources for apt";
}

/** Downloads packages with all that they depend on, where not done before, and unpacks them. */
export function debianPool(architecture: Architecture, names: readonly string[]): Pool {
  const problem = debianProblem();
  if (problem !== undefined) throw new Error(`Cannot get Debian packages: ${problem}`);
  const apt = new Apt(architecture);
  const files = new Map<string, PackageFile>();
  const packages = new Map<string, DebianPackage>();
  for (const archive of apt.download(names).sort()) {
    const folder = unpack(archive);
    const debian = describe(join(folder, "DEBIAN", "control"));
    packages.set(debian.name, debian);
    for (const file of walk(folder, debian.name)) files.set(file.path, file);
  }
  return { files, packages };
}

class Apt {
  readonly #folder: string;
  readonly #options: readonly string[];

  constructor(architecture: Architecture) {
    this.#folder = join(cacheDir(), "debian", architecture);
    for (const name of ["lists/partial", "cache/archives/partial", "empty"]) {
      mkdirSync(join(this.#folder, name), { recursive: true });
    }
    writeFileSync(join(this.#folder, "status"), "");
    const settings = {
      "APT::Architecture": architecture,
      "APT::Architectures": architecture,
      "APT::Sandbox::User": "root",
      "APT::Install-Recommends": "false",
      "Dir::State::lists": join(this.#folder, "lists"),
      "Dir::State::status": join(this.#folder, "status"),
      "Dir::State::extended_states": join(this.#folder, "extended_states"),
      "Dir::Cache": join(this.#folder, "cache"),
      "Dir::Etc::sourcelist": SOURCES.find((path) => existsSync(path)),
      "Dir::Etc::sourceparts": "-",
      "Dir::Etc::preferencesparts": "-",
    };
    this.#options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  }

  /** The archives of these packages and of what they depend on. */
  download(names: readonly string[]): string[] {
    this.#update();
    const empty = join(this.#folder, "empty");
    // With no archives there, so that all are told.
    const told = this.#run(["-o", `Dir::Cache::archives=${empty}`, "--print-uris", ...all(names)]);
    const wanted = [...told.matchAll(/^'[^']*' (\S+\.deb) /gm)].map(([, file]) => file!);
    if (wanted.length === 0) throw new Error(`Cannot get ${names.join(" ")}: apt names no archive`);
    const archives = join(this.#folder, "cache", "archives");
    const paths = wanted.map((file) => join(archives, file));
    if (!paths.every((path) => existsSync(path))) this.#run(["--download-only", ...all(names)]);
    return paths;
  }

  #update(): void {
    const stamp = join(this.#folder, "updated");
    const isFresh = existsSync(stamp) && Date.now() - statSync(stamp).mtimeMs < LISTS_LAST_MS;
    if (isFresh && readFileSync(stamp, "utf8") === this.#options.join("\n")) return;
    this.#run(["update"]);
    writeFileSync(stamp, this.#options.join("\n"));
  }

  #run(args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync("apt-get", ["-qq", ...this.#options, ...args], {
      encoding: "utf8",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
    });
    if (status === 0) return stdout;
    throw new Error(`Cannot run apt-get ${args.join(" ")}: ${stderr.trim()}`);
  }
}

function all(names: readonly string[]): string[] {
  return ["-y", "install", ...names];
}

/** Under a name of its own until it is whole, so that two runs do not disturb each other. */
function unpack(archive: string): string {
  const folder = join(cacheDir(), "debian", "unpacked", basename(archive, ".deb"));
  if (existsSync(folder)) return folder;
  const next = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  const { status, stderr } = spawnSync("dpkg-deb", ["--raw-extract", archive, next], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Cannot unpack ${archive}: ${stderr.trim()}`);
  try {
    renameSync(next, folder);
  } catch (error) {
    // Another run was faster, and has the same.
    if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
    rmSync(next, { recursive: true });
  }
  return folder;
}

function describe(path: string): DebianPackage {
  const control = readFileSync(path, "utf8").trimEnd();
  const field = (name: string): string => {
    const found = new RegExp(`^${name}: (.+)$`, "m").exec(control);
    if (found === null) throw new Error(`Cannot read ${path}: it has no field ${name}`);
    return found[1]!;
  };
  return { name: field("Package"), version: field("Version"), control };
}

function* walk(folder: string, owner: string, below = ""): Generator<PackageFile> {
  for (const name of readdirSync(join(folder, below)).sort()) {
    if (below === "" && name === "DEBIAN") continue;
    const source = join(folder, below, name);
    const stat = lstatSync(source);
    const path = merged(join(below, name));
    const target = stat.isSymbolicLink() ? readlinkSync(source) : undefined;
    if (!stat.isDirectory()) yield { path, source, target, mode: stat.mode & 0o7777, owner };
    else yield* walk(folder, owner, join(below, name));
  }
}

/** Images have `lib` and `bin` as links into `usr`, as Debian's own systems do. */
export function merged(path: string): string {
  return /^(?:bin|sbin|lib|lib64)\//.test(path) ? `usr/${path}` : path;
}
