/** OCI images as archives: https://github.com/opencontainers/image-spec */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { cacheDir } from "../tools.ts";
import { encodeTar, type TarEntry } from "./tar.ts";

export type Architecture = "amd64" | "arm64";

export interface Layer {
  readonly blob: Buffer;
  /** Of the blob, as it is. */
  readonly digest: string;
  /** Of what it is unpacked. */
  readonly diffId: string;
  /** Unpacked. */
  readonly size: number;
  /** Shown by `docker history` and the like. */
  readonly comment: string;
}

export interface Image {
  /** With its tag. */
  readonly name: string;
  readonly architecture: Architecture;
  readonly layers: readonly Layer[];
  /** `UID` or `UID:GID`; numbers, since Kubernetes can judge `runAsNonRoot` only by these. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Images have no time of their own: it would be the only thing to differ between two builds. */
const CREATED = "1970-01-01T00:00:00Z";
const KEPT_FROM_BYTES = 32 << 20;
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export function newLayer(comment: string, entries: readonly TarEntry[]): Layer {
  const tar = encodeTar(entries);
  const diffId = digestOf(tar);
  const blob = compressed(tar, diffId);
  return { blob, digest: digestOf(blob), diffId, size: tar.length, comment };
}

/** Compressing Node takes many seconds, and it is the same for months: it is kept by its digest. */
function compressed(tar: Buffer, diffId: string): Buffer {
  const path = join(cacheDir(), "layers", `${diffId.replace("sha256:", "")}.gz`);
  if (existsSync(path)) {
    const kept = readFileSync(path);
    if (digestOf(gunzipSync(kept)) === diffId) return kept;
  }
  const blob = gzipSync(tar, { level: 6 });
  if (tar.length < KEPT_FROM_BYTES) return blob;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, blob);
  renameSync(`${path}.${process.pid}`, path);
  return blob;
}

/** The archive that `ctr images import`, `docker load`, `podman load` and `skopeo` take. */
export function encodeImage(image: Image): Buffer {
  const { name, architecture, layers } = image;
  const config = json({
    created: CREATED,
    architecture,
    os: "linux",
    config: {
      User: image.user,
      Env: [PATH],
      Entrypoint: image.entrypoint,
      Cmd: image.command,
      WorkingDir: "/",
      Labels: image.labels,
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ comment }) => ({ created: CREATED, created_by: comment })),
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map(({ blob }) =>
      descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob),
    ),
    annotations: image.labels,
  });
  const index = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
        platform: { architecture, os: "linux" },
        annotations: {
          "io.containerd.image.name": name,
          "org.opencontainers.image.ref.name": name.slice(name.lastIndexOf(":") + 1),
        },
      },
    ],
  });
  const blobs = new Map(
    [config, manifest, ...layers.map(({ blob }) => blob)].map((blob) => [digestOf(blob), blob]),
  );
  return encodeTar([
    { type: "folder", path: "blobs", mode: 0o755 },
    { type: "folder", path: "blobs/sha256", mode: 0o755 },
    ...[...blobs].map(([digest, data]) => file(`blobs/${digest.replace(":", "/")}`, data)),
    file("index.json", index),
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
  ]);
}

function file(path: string, data: Buffer): TarEntry {
  return { type: "file", path, mode: 0o644, data };
}

function descriptor(mediaType: string, blob: Buffer): object {
  return { mediaType, digest: digestOf(blob), size: blob.length };
}

function digestOf(blob: Buffer): string {
  return `sha256:${createHash("sha256").update(blob).digest("hex")}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
