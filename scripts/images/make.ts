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
  readonly #layers = new Map<string, Layer>();

  constructor(architecture: Architecture, version: string) {
    this.#architecture = architecture;
    this.#version = version;
  }

  async make(recipe: Recipe): Promise<Image> {
    const hasCode = recipe.commands.length > 0;
    const needsPrivileges = recipe.aliases.some(({ isNetAdmin }) => isNetAdmin === true);
    const pool = debianPool(this.#architecture, [
      ...(hasCode ? NODE_PACKAGES : []),
      ...(needsPrivileges ? SETPRIV_PACKAGES : []),
      ...recipe.packages,
    ]);
    const contents = new Contents(pool);
    for (const entry of base()) contents.add(entry);
    if (recipe.hasPlugin === true) {
      for (const entry of await pluginFiles(nodeFolder(this.#architecture), pool)) {
        contents.add(entry);
      }
    }
    if (hasCode) for (const entry of this.#node(recipe.hasPlugin === true)) contents.add(entry);
    const name = hasCode ? `Node ${nodeVersion()} and what it is linked with` : "users and folders";
    const layers = [this.#layer(name, contents.layer())];
    if (needsPrivileges) {
      const capabilities = permitted(CAPABILITIES.netAdmin, CAPABILITIES.netRaw);
      for (const path of ["usr/bin/env", "usr/bin/setpriv"]) contents.pick(path, capabilities);
    }
    for (const file of recipe.files) contents.pick(file);
    for (const [path, target] of Object.entries(recipe.links)) {
      contents.add({ type: "link", path, mode: 0o777, target });
    }
    if (recipe.packages.includes("ca-certificates")) contents.add(authorities(pool));
    const picked = contents.layer();
    if (picked.length > 0)
      layers.push(this.#layer(`Debian's ${recipe.packages.join(", ")}`, picked));
    if (hasCode) {
      for (const entry of await bundle(recipe.commands)) contents.add(entry);
      for (const alias of recipe.aliases) contents.add(aliasFile(alias));
      layers.push(this.#layer(`Heddle ${this.#version}`, contents.layer()));
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

  /** Compressing Node takes seconds, and it is the same in each image. */
  #layer(comment: string, entries: readonly TarEntry[]): Layer {
    const key = `${comment}\n${entries.map(({ path }) => path).join("\n")}`;
    const layer = this.#layers.get(key) ?? newLayer(comment, entries);
    this.#layers.set(key, layer);
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
