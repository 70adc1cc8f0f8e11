import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { startMember } from "@heddle/cli/member";
import { eventually, startMesh } from "@heddle/cli/mesh";
import { NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import { missing } from "@heddle/testkit/tools";
import { debianProblem } from "../scripts/images/debian.ts";
import { NODE_COMMAND } from "../scripts/images/recipes.ts";
import { EMULATOR } from "../scripts/machine.ts";
import { ROOT } from "../scripts/test-suites.ts";
import { cacheDir } from "../scripts/tools.ts";

const skip = debianProblem() ?? false;
const LOOPBACK_MESH = "127.76.0.0/16";
const BOUND = AbortSignal.timeout(240_000);

const IMAGES = ["cni-plugin", "control", "debug", "proxy"];
const OWN = process.arch === "arm64" ? "arm64" : "amd64";

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), "heddle-images-"));
  if (skip === false) writeImages("first", cacheDir(), ...IMAGES);
});

after(() => rmSync(folder, { recursive: true, force: true }));

/** As a user does it, to `name` below our folder. */
function writeImages(name: string, cache: string, ...images: readonly string[]): void {
  const script = join(ROOT, "scripts", "images.ts");
  const args = ["--disable-warning=ExperimentalWarning", script, ...images];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...args, "--folder", join(folder, name)],
    { encoding: "utf8", env: { ...process.env, HEDDLE_CACHE: cache } },
  );
  assert.equal(status, 0, `${stdout}${stderr}`);
  for (const image of images)
    assert.match(stdout, new RegExp(`^${image} a\\S+ +\\d+\\.\\d MB`, "m"));
}

/** What a runtime does with an image before it starts it. @returns the root folder. */
function unpack(archive: string): string {
  const layout = mkdtempSync(join(folder, "layout-"));
  const root = mkdtempSync(join(folder, "root-"));
  const tar = (...args: readonly string[]): void => {
    assert.equal(spawnSync("tar", args, { stdio: "inherit" }).status, 0);
  };
  tar("-xf", archive, "-C", layout);
  const read = (digest: string): string => join(layout, "blobs", digest.replace(":", "/"));
  const json = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
  const index = json(join(layout, "index.json")) as { manifests: [{ digest: string }] };
  const manifest = json(read(index.manifests[0].digest)) as { layers: { digest: string }[] };
  for (const { digest } of manifest.layers) tar("-xzf", read(digest), "-C", root);
  return root;
}

test("npm run images writes the same bytes again, for both architectures", { skip }, () => {
  const cache = join(folder, "cache");
  mkdirSync(cache);
  // With what was downloaded, and without what was made.
  for (const name of ["debian", "node"]) {
    if (existsSync(join(cacheDir(), name))) symlinkSync(join(cacheDir(), name), join(cache, name));
  }
  // The plugin's is made as these are, and would cost another minute.
  const again = IMAGES.filter((name) => name !== "cni-plugin");
  writeImages("second", cache, ...again);
  const names = readdirSync(join(folder, "second")).sort();
  assert.deepEqual(
    names,
    again.flatMap((name) => [`${name}-amd64.tar`, `${name}-arm64.tar`]),
  );
  for (const name of names) {
    const [first, second] = ["first", "second"].map((run) => readFileSync(join(folder, run, name)));
    assert.ok(first!.equals(second!), name);
  }
});

test("an image has nobody's files but root's, and nothing that changes its user", { skip }, () => {
  for (const name of ["proxy-amd64", "control-arm64"]) {
    const root = unpack(join(folder, "first", `${name}.tar`));
    const args = [root, "(", "-perm", "/6000", "-o", "-perm", "-o+w", "-not", "-type", "l", ")"];
    const { stdout } = spawnSync("find", args, { encoding: "utf8" });
    assert.equal(stdout.trim(), join(root, "tmp"));
  }
});

test("the CNI image has a plugin that runs on a node without Node", { skip }, () => {
  const root = unpack(join(folder, "first", `cni-plugin-${OWN}.tar`));
  const plugin = join(root, "opt/cni/bin/linkerd-cni");
  const { status, stdout, stderr } = spawnSync(plugin, [], {
    encoding: "utf8",
    input: JSON.stringify({ cniVersion: "1.0.0" }),
    env: { CNI_COMMAND: "VERSION", PATH: "/usr/bin:/bin" },
  });
  assert.equal(status, 0, stderr);
  assert.ok(JSON.parse(stdout).supportedVersions.includes("1.0.0"));
});

test("the arm64 image's proxy starts and serves", {
  skip: skip || missing(EMULATOR),
}, async () => {
  const root = unpack(join(folder, "first", "proxy-arm64.tar"));
  await using parts = new AsyncDisposableStack();
  const lines: string[] = [];
  const log = Log.silent();
  const mesh = parts.use(
    await startMesh({
      dataDir: join(folder, "mesh"),
      apiserverIp: "127.76.1.2",
      controlIp: "127.76.1.3",
      loopbackMesh: LOOPBACK_MESH,
      clock: systemClock,
      log,
      onLine: (who, line) => lines.push(`${who}: ${line}`),
      stop: BOUND,
    }),
  );
  await mesh.client.create(NAMESPACES, { metadata: { name: "shop" } });
  await mesh.client.create(SERVICES, {
    metadata: { namespace: "shop", name: "arm" },
    spec: { selector: { app: "arm" }, ports: [{ name: "main", port: 8080, targetPort: 8080 }] },
  });
  const common = { mesh, namespace: "shop", env: {}, log, stop: BOUND };
  const onLine = (who: string, line: string): void => {
    lines.push(`${who}: ${line}`);
  };
  const program =
    'require("node:http").createServer((q, s) => s.end("from arm")).listen(8080, "127.75.1.11")';
  const [node, ...flags] = NODE_COMMAND;
  parts.use(
    await startMember({
      ...common,
      name: "arm",
      serviceAccount: "arm",
      labels: { app: "arm" },
      ip: "127.76.1.11",
      appIp: "127.75.1.11",
      ports: [{ name: "main", port: 8080 }],
      listeners: [],
      command: [process.execPath, "-e", program],
      proxyCommand: [
        EMULATOR,
        ...["-L", root],
        join(root, node!),
        ...flags,
        join(root, "usr/lib/heddle/heddle.mjs"),
        "proxy",
      ],
      folder: join(folder, "arm"),
      onLine,
    }),
  );
  parts.use(
    await startMember({
      ...common,
      name: "client",
      serviceAccount: "client",
      labels: {},
      ip: "127.76.1.12",
      appIp: "127.75.1.12",
      ports: [],
      listeners: [{ listen: "127.75.1.12:8080", authority: "arm.shop.svc.cluster.local:8080" }],
      command: [process.execPath, "-e", "setInterval(() => {}, 60_000)"],
      folder: join(folder, "client"),
      onLine,
    }),
  );
  const id = "client.shop.serviceaccount.identity.linkerd.cluster.local";
  await eventually("an answer", BOUND, async () => {
    const answer = await fetch("http://127.75.1.12:8080/");
    assert.equal(await answer.text(), "from arm", lines.slice(-20).join("\n"));
  });
  const metrics = await (await fetch("http://127.76.1.11:4191/metrics")).text();
  assert.match(metrics, new RegExp(`^request_total\\{direction="inbound".*client_id="${id}"`, "m"));
});
