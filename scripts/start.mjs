// The way in, in plain JavaScript, because any Node from 20 on may be the one that starts it:
// installs missing dependencies, then hands over to the Node that came with them.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const node = join(root, "node_modules", ".bin", "node");

/** What each npm script runs, by Heddle's own Node. */
const COMMANDS = {
  start: ["e2e/demo/main.ts"],
  test: ["scripts/test.ts"],
  ok: ["scripts/ok.ts"],
  conformance: ["scripts/conformance.ts"],
  "conformance:gateway": ["e2e/conformance/main.ts"],
  bench: ["bench/main.ts"],
  soak: ["bench/soak.ts"],
  images: ["scripts/images.ts"],
  "test:kube": ["scripts/kube.ts"],
  "test:kube-api": ["scripts/kube-api.ts"],
  "demo:hosts": ["e2e/hosts/main.ts"],
  "demo:kube": ["e2e/kube-demo/main.ts"],
};

function isInstalled() {
  const installed = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(node) || !existsSync(installed)) return false;
  return statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

/** Runs to the end, passing signals on; gives the exit code. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit" });
    const pass = (signal) => child.kill(signal);
    process.on("SIGTERM", pass);
    // The terminal sends SIGINT to the child as well: only stay alive until it is done.
    process.on("SIGINT", () => {});
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      process.off("SIGTERM", pass);
      resolve(signal === null ? code : 128 + (constants.signals[signal] ?? 0));
    });
  });
}

async function install() {
  const npm = process.env.npm_execpath;
  if (npm === undefined) {
    console.error(
      "Cannot install dependencies: start this by `npm start`, `npm test` or `npm run …`",
    );
    return 1;
  }
  console.log("Installing dependencies (once)…");
  const runtime = process.env.npm_node_execpath ?? process.execPath;
  return await run(runtime, [npm, "ci", "--no-audit", "--no-fund"]);
}

/** The one library of Heddle's Node that a small system may lack. */
const LIBRARY = "libatomic.so.1";

/** Whether Heddle's Node can run here; as root on Debian, gets what it lacks. */
function nodeRuns() {
  const { status, stderr } = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (status === 0) return true;
  if (stderr?.includes(LIBRARY) !== true) {
    console.error(`Cannot run Heddle's Node, ${node}: ${stderr?.trim() ?? "it is not there"}`);
    return false;
  }
  const mayInstall =
    process.getuid() === 0 &&
    process.env.HEDDLE_NO_INSTALL !== "1" &&
    existsSync("/etc/debian_version");
  if (mayInstall) {
    console.log("installing libatomic1 (for Heddle's Node)");
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    spawnSync("apt-get", ["update", "-qq"], { env, stdio: ["ignore", "ignore", "inherit"] });
    const args = ["install", "-y", "-qq", "--no-install-recommends", "libatomic1"];
    spawnSync("apt-get", args, { env, stdio: ["ignore", "ignore", "inherit"] });
    if (spawnSync(node, ["--version"]).status === 0) return true;
  }
  console.error(
    `Cannot run Heddle's Node: ${LIBRARY} is missing. On Debian and Ubuntu: apt-get install libatomic1; on Fedora: dnf install libatomic`,
  );
  return false;
}

const [name, ...rest] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  console.error(`usage: start.mjs ${Object.keys(COMMANDS).join("|")} [ARGS]`);
  process.exit(2);
}
const installed = isInstalled() ? 0 : await install();
if (installed === 0 && !nodeRuns()) process.exit(1);
process.exit(
  installed !== 0
    ? installed
    : await run(node, ["--disable-warning=ExperimentalWarning", ...command, ...rest]),
);
