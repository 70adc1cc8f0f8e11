import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BUNDLE_FOLDER, bundle } from "./bundle.ts";
import { CAPABILITIES, permitted } from "./capabilities.ts";
import { Contents } from "./contents.ts";
import { debianPool, type Pool } from "./debian.ts";
import { type Architecture, type Image, type Layer, newLayer } from "./oci.ts";
import { PLUGIN_NODE, pluginFiles } from "./plugin.ts";
import { type Alias, NODE_COMMAND, type Recipe } from "./recipes.ts";
import { nodeFolder, nodeVersion } from "./runtime.ts";
import type { TarEntry } from "./tar.ts";

/** What our Node is linked with. */
const NODE_PACKAGES = ["libatomic1", "libc6", "libgcc-s1", "libstdc++6"];

/** What keeps capabilities for a program that does not run as root. */
const SETPRIV_PACKAGES = ["coreutils", "util-linux"];

const USERS = [
  { name: "root", id: 0 },
  { name: "proxy", id: 2102 },
  { name: "control", id: 2103 },
  { name: "nobody", id: 65_534 },
];

/** Makes images for one architecture. What several have in common is made once. */
export class ImageMaker {
  readonly #architecture: Architecture;
  readonly #version: string;
  /** By what they hold. Compressing Node takes seconds, and it is the same in most images. */
  readonly #systems = new Map<string, Layer>();

  constructor(architecture: Architecture, version: string) {
    this.#architecture = architecture;
    this.#version = version;
  }

  async make(recipe: Recipe): Promise<Image> {
    const pool = debianPool(this.#architecture, [
      ...(recipe.commands.length > 0 ? NODE_PACKAGES : []),
      ...(isPrivileged(recipe) ? SETPRIV_PACKAGES : []),
      ...recipe.packages,
    ]);
    const contents = new Contents(pool);
    const layers = [await this.#system(recipe, pool, contents)];
    const picked = pickPackages(recipe, pool, contents);
    if (picked.length > 0) {
      layers.push(newLayer(`Debian's ${recipe.packages.join(", ")}`, picked));
    }
    if (recipe.commands.length > 0) {
      for (const entry of await bundle(recipe.commands)) contents.add(entry);
      for (const alias of recipe.aliases) contents.add(aliasFile(alias));
      layers.push(newLayer(`Heddle ${this.#version}`, contents.layer()));
    }
    const { user, entrypoint, command } = recipe;
    return {
      name: `docker.io/heddle/${recipe.name}:${this.#version}`,
      architecture: this.#architecture,
      layers,
      user,
      entrypoint,
      command,
      labels: {
        "org.opencontainers.image.title": `heddle/${recipe.name}`,
        "org.opencontainers.image.version": this.#version,
        "org.opencontainers.image.licenses": "Apache-2.0",
      },
    };
  }

  /** The lowest layer: what any system has, and Node where there is code of ours. */
  async #system(recipe: Recipe, pool: Pool, contents: Contents): Promise<Layer> {
    const hasPlugin = recipe.hasPlugin === true;
    const hasNode = recipe.commands.length > 0;
    for (const entry of base()) contents.add(entry);
    if (hasPlugin) {
      const folder = nodeFolder(this.#architecture);
      for (const entry of await pluginFiles(folder, pool)) contents.add(entry);
    }
    if (hasNode) for (const entry of this.#node(hasPlugin)) contents.add(entry);
    const name = hasNode ? `Node ${nodeVersion()} and what it is linked with` : "users and folders";
    const key = `${name}, plugin: ${hasPlugin}`;
    const entries = contents.layer();
    const layer = this.#systems.get(key) ?? newLayer(name, entries);
    this.#systems.set(key, layer);
    return layer;
  }

  /** @param hasPlugin - The plugin has Node already, and once is enough. */
  #node(hasPlugin: boolean): TarEntry[] {
    const folder = nodeFolder(this.#architecture);
    const read = (name: string): Buffer => readFileSync(join(folder, name));
    return [
      hasPlugin
        ? { type: "link", path: "usr/bin/node", mode: 0o777, target: `/${PLUGIN_NODE}` }
        : { type: "file", path: "usr/bin/node", mode: 0o755, data: read("bin/node") },
      { type: "file", path: "usr/share/doc/node/LICENSE", mode: 0o644, data: read("LICENSE") },
    ];
  }
}

function isPrivileged({ aliases }: Recipe): boolean {
  return aliases.some(({ isNetAdmin }) => isNetAdmin === true);
}

/** What the recipe wants of packages, and what keeps capabilities for its programs. */
function pickPackages(recipe: Recipe, pool: Pool, contents: Contents): TarEntry[] {
  if (isPrivileged(recipe)) {
    const capabilities = permitted(CAPABILITIES.netAdmin, CAPABILITIES.netRaw);
    for (const path of ["usr/bin/env", "usr/bin/setpriv"]) contents.pick(path, capabilities);
  }
  for (const file of recipe.files) contents.pick(file);
  for (const [path, target] of Object.entries(recipe.links)) {
    contents.add({ type: "link", path, mode: 0o777, target });
  }
  if (recipe.packages.includes("ca-certificates")) contents.add(authorities(pool));
  return contents.layer();
}

/** What programs expect of any system. */
function base(): TarEntry[] {
  const line = (text: string): Buffer => Buffer.from(text);
  const folder = (path: string, mode = 0o755): TarEntry => ({ type: "folder", path, mode });
  const file = (path: string, data: Buffer): TarEntry => ({
    type: "file",
    path,
    mode: 0o644,
    data,
  });
  const link = (path: string): TarEntry => ({
    type: "link",
    path,
    mode: 0o777,
    target: `usr/${path}`,
  });
  return [
    ...["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "root", "run", "var/run"].map((path) =>
      folder(path),
    ),
    folder("tmp", 0o1777),
    ...["bin", "sbin", "lib", "lib64"].map(link),
    file("etc/nsswitch.conf", line("hosts: files dns\n")),
    file(
      "etc/passwd",
      line(USERS.map(({ name, id }) => `${name}:x:${id}:${id}::/:/usr/sbin/nologin\n`).join("")),
    ),
    file("etc/group", line(USERS.map(({ name, id }) => `${name}:x:${id}:\n`).join(""))),
  ];
}

/** Those that Debian trusts, in the one file that OpenSSL reads. */
function authorities(pool: Pool): TarEntry {
  const sources = [...pool.files.values()]
    .filter(({ path }) => /^usr\/share\/ca-certificates\/.+\.crt$/.test(path))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  const data = Buffer.concat(sources.map(({ source }) => readFileSync(source)));
  return { type: "file", path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data };
}

/**
 * A program whose interpreter is Node. Capabilities of a user that is not root end with the next
 * program it starts, unless they are ambient, which `setpriv` makes them.
 */
function aliasFile({ path, command, isNetAdmin }: Alias): TarEntry {
  const caps = "+net_admin,+net_raw";
  const keep = `/usr/bin/env -S setpriv --inh-caps=${caps} --ambient-caps=${caps} `;
  const lines = [
    `#!${isNetAdmin === true ? keep : ""}${NODE_COMMAND.join(" ")}`,
    `import { main } from "/${BUNDLE_FOLDER}/heddle.mjs";`,
    `await main(${JSON.stringify(command.split(" "))}.concat(process.argv.slice(2)));`,
  ];
  return { type: "file", path, mode: 0o755, data: Buffer.from(`${lines.join("\n")}\n`) };
}
