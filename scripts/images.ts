/**
 * `npm run images`: writes our images as OCI archives to `build/images`, without Docker and without
 * root. The same sources give the same bytes. `-- proxy control` makes only these, `--arch amd64`
 * only for one architecture.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { clientVersion } from "@heddle/cli/commands/version";
import { ImageMaker } from "./images/make.ts";
import { type Architecture, encodeImage } from "./images/oci.ts";
import { RECIPES } from "./images/recipes.ts";
import { ROOT } from "./test-suites.ts";

export const ARCHITECTURES: readonly Architecture[] = ["amd64", "arm64"];

export interface ImageOptions {
  readonly architectures: readonly Architecture[];
  readonly names: readonly string[];
  readonly folder: string;
}

/** Writes each image. @returns the archives' paths. */
export async function writeImages(options: ImageOptions): Promise<string[]> {
  const { architectures, names, folder } = options;
  mkdirSync(folder, { recursive: true });
  const paths: string[] = [];
  for (const architecture of architectures) {
    const maker = new ImageMaker(architecture, clientVersion());
    for (const recipe of RECIPES.filter(({ name }) => names.includes(name))) {
      const image = await maker.make(recipe);
      const archive = encodeImage(image);
      const path = join(folder, `${recipe.name}-${architecture}.tar`);
      writeFileSync(path, archive);
      const unpacked = image.layers.reduce((sum, { size }) => sum + size, 0);
      const name = `${recipe.name} ${architecture}`.padEnd(14);
      console.log(`${name} ${megabytes(archive.length)}, unpacked ${megabytes(unpacked)}  ${path}`);
      paths.push(path);
    }
  }
  return paths;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1).padStart(6)} MB`;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      arch: { type: "string", multiple: true },
      folder: { type: "string", default: join(ROOT, "build", "images") },
    },
  });
  const known = RECIPES.map(({ name }) => name);
  const unknown = [
    ...positionals.filter((name) => !known.includes(name)),
    ...(values.arch ?? []).filter((arch) => !(ARCHITECTURES as readonly string[]).includes(arch)),
  ];
  if (unknown.length > 0) {
    console.error(
      `Cannot make ${unknown.join(", ")}: images are ${known.join(", ")}, for ${ARCHITECTURES.join(" and ")}`,
    );
    process.exit(2);
  }
  await writeImages({
    architectures: ARCHITECTURES.filter((one) => (values.arch ?? [one]).includes(one)),
    names: positionals.length > 0 ? positionals : known,
    folder: values.folder,
  });
}
