/** Picks from packages what an image needs: programs, with the libraries they are linked with. */
import { readFileSync } from "node:fs";
import { basename, dirname, posix } from "node:path";
import { merged, type PackageFile, type Pool } from "./debian.ts";
import { neededBy } from "./elf.ts";
import type { FolderEntry, TarEntry } from "./tar.ts";

/** Where Debian's loader looks, `*` being the architecture's folder. */
const LIBRARY = /^usr\/lib\/(?:[^/]+-linux-gnu\/)?([^/]+\.so(?:\.[^/]*)?)$/;

/** Layers of one image, from the lowest to the highest: what one has the next ones need not have. */
export class Contents {
  readonly #pool: Pool;
  /** Of the pool, by name. */
  readonly #libraries = new Map<string, string>();
  readonly #present = new Set<string>();
  readonly #owners = new Set<string>();
  #entries: TarEntry[] = [];

  constructor(pool: Pool) {
    this.#pool = pool;
    for (const path of pool.files.keys()) {
      const name = LIBRARY.exec(path)?.[1];
      if (name !== undefined) this.#libraries.set(name, path);
    }
  }

  /** Takes what is not ours to pick. A program of ours gets its libraries too. */
  add(entry: TarEntry): void {
    if (this.#present.has(entry.path)) return;
    this.#present.add(entry.path);
    this.#addFolders(entry.path);
    this.#entries.push(entry);
    if (entry.type === "file")
      this.#addLibraries(
        entry.path,
        Buffer.from(entry.data.buffer, entry.data.byteOffset, entry.data.byteLength),
      );
  }

  /** @param path - Of a file in the pool, or a pattern that fits at least one. */
  pick(path: string | RegExp, capabilities?: Uint8Array): void {
    const paths =
      typeof path === "string"
        ? [path]
        : [...this.#pool.files.keys()].filter((candidate) => path.test(candidate));
    if (paths.length === 0) throw new Error(`Cannot make an image: no package has ${path}`);
    for (const one of paths) this.#pickFile(one, capabilities);
  }

  /** What was taken since the last call. */
  layer(): TarEntry[] {
    for (const owner of [...this.#owners].sort()) this.#addNotes(owner);
    this.#owners.clear();
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }

  #pickFile(path: string, capabilities?: Uint8Array): void {
    if (this.#present.has(path)) return;
    const file = this.#pool.files.get(path);
    if (file === undefined) throw new Error(`Cannot make an image: no package has ${path}`);
    this.#owners.add(file.owner);
    if (file.target !== undefined) {
      this.add({ type: "link", path, mode: 0o777, target: file.target });
      this.#pickFile(targetOf(file), capabilities);
      return;
    }
    const data = readFileSync(file.source);
    const more = capabilities === undefined ? {} : { capabilities };
    // Such as may change their owner have no place here.
    this.add({ type: "file", path, mode: file.mode & 0o755, data, ...more });
  }

  #addLibraries(path: string, data: Buffer): void {
    const { libraries, loader } = neededBy(data);
    for (const name of libraries) {
      const library = this.#libraries.get(name);
      if (library === undefined) throw new Error(`Cannot make an image: ${path} needs ${name}`);
      this.#pickFile(library);
    }
    if (loader !== undefined) this.#pickFile(merged(loader.slice(1)));
  }

  #addFolders(path: string): void {
    for (let folder = dirname(path); folder !== "."; folder = dirname(folder)) {
      if (this.#present.has(folder)) return;
      this.#present.add(folder);
      const entry: FolderEntry = { type: "folder", path: folder, mode: 0o755 };
      this.#entries.push(entry);
    }
  }

  /** Its licence, and what it is, where scanners of images look for it. */
  #addNotes(owner: string): void {
    const { control } = this.#pool.packages.get(owner)!;
    this.add({
      type: "file",
      path: `var/lib/dpkg/status.d/${owner}`,
      mode: 0o644,
      data: Buffer.from(`${control}\n`),
    });
    const copyright = copyrightOf(owner, this.#pool);
    if (copyright === undefined) return;
    this.add({
      type: "file",
      path: `usr/share/doc/${owner}/copyright`,
      mode: 0o644,
      data: readFileSync(copyright),
    });
  }
}

/**
 * What a program is linked with: its loader first, then the libraries, each by the name that it is
 * asked for by, with a file of this machine.
 */
export function linkedWith(pool: Pool, program: Buffer): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const { loader } = neededBy(program);
  const visit = (name: string): void => {
    if (found.has(name)) return;
    const source = sourceOf(pool, name);
    found.set(name, source);
    for (const needed of neededBy(readFileSync(source)).libraries) visit(needed);
  };
  if (loader !== undefined) visit(basename(loader));
  for (const name of neededBy(program).libraries) visit(name);
  return found;
}

/** Behind all links: they are of the image, and lead elsewhere on this machine. */
function sourceOf(pool: Pool, name: string): string {
  let file = [...pool.files.values()].find(({ path }) => LIBRARY.exec(path)?.[1] === name);
  while (file?.target !== undefined) file = pool.files.get(targetOf(file));
  if (file === undefined) throw new Error(`Cannot make an image: no package has ${name}`);
  return file.source;
}

function targetOf({ path, target }: PackageFile): string {
  const absolute = posix.resolve("/", dirname(path), target!);
  return merged(absolute.slice(1));
}

/** Some packages have their folder of documents as a link to another's. */
function copyrightOf(owner: string, pool: Pool): string | undefined {
  const own = pool.files.get(`usr/share/doc/${owner}/copyright`);
  if (own !== undefined) return own.source;
  const link = pool.files.get(`usr/share/doc/${owner}`);
  if (link?.target === undefined) return undefined;
  return pool.files.get(`usr/share/doc/${basename(link.target)}/copyright`)?.source;
}
