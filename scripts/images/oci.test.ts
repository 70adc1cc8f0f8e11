import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { encodeImage, newLayer } from "./oci.ts";

const layer = newLayer("a file", [
  { type: "file", path: "hello", mode: 0o644, data: Buffer.from("hello\n") },
]);
const archive = encodeImage({
  name: "images.test/hello:3",
  architecture: "arm64",
  layers: [layer],
  user: "2102:2102",
  entrypoint: ["/hello"],
  command: ["world"],
  labels: {},
});

function member(path: string): Buffer {
  const { status, stdout } = spawnSync("tar", ["-xOf", "-", path], { input: archive });
  assert.equal(status, 0, path);
  return stdout;
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** Reads what a descriptor names, which must be what it says. */
function blob({ digest, size }: Descriptor): Buffer {
  const data = member(`blobs/${digest.replace(":", "/")}`);
  assert.equal(`sha256:${createHash("sha256").update(data).digest("hex")}`, digest);
  assert.equal(data.length, size);
  return data;
}

test("encodeImage() writes a layout whose digests and sizes hold, down to the layers", () => {
  assert.deepEqual(JSON.parse(member("oci-layout").toString()), { imageLayoutVersion: "1.0.0" });
  const [entry] = JSON.parse(member("index.json").toString()).manifests;
  assert.deepEqual(entry.platform, { architecture: "arm64", os: "linux" });
  assert.deepEqual(entry.annotations, {
    "io.containerd.image.name": "images.test/hello:3",
    "org.opencontainers.image.ref.name": "3",
  });
  const manifest = JSON.parse(blob(entry).toString());
  const config = JSON.parse(blob(manifest.config).toString());
  assert.equal(config.architecture, "arm64");
  assert.equal(config.config.User, "2102:2102");
  assert.deepEqual([config.config.Entrypoint, config.config.Cmd], [["/hello"], ["world"]]);
  const tar = gunzipSync(blob(manifest.layers[0]));
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  assert.deepEqual(config.rootfs, { type: "layers", diff_ids: [diffId] });
  const { stdout } = spawnSync("tar", ["-xOf", "-", "hello"], { input: tar, encoding: "utf8" });
  assert.equal(stdout, "hello\n");
});
