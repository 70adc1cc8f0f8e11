/**
 * What the suites need of a machine beyond npm: Debian packages and tools that come as Go modules.
 * As root on a Debian-family machine what is missing is installed, one line each;
 * `HEDDLE_NO_INSTALL=1` forbids it. Elsewhere a line says what is skipped and what would provide it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

export interface Need {
  /** A program on the PATH, or a file's path, that shows that the package is there. */
  readonly program: string;
  readonly debian: string;
  readonly what: string;
}

/** One of the plugins that connect pods. */
export const CNI_PLUGIN = "/usr/lib/cni/bridge";

/** Runs programs for arm64. */
export const EMULATOR = "qemu-aarch64-static";

const NEEDS: readonly Need[] = [
  { program: "ip", debian: "iproute2", what: "network namespaces" },
  { program: "nft", debian: "nftables", what: "capture rules" },
  { program: "iptables", debian: "iptables", what: "capture rules" },
  { program: "curl", debian: "curl", what: "a foreign HTTP client" },
  { program: "openssl", debian: "openssl", what: "a foreign TLS peer" },
  { program: "nghttp", debian: "nghttp2-client", what: "a foreign HTTP/2 client" },
  { program: "nginx", debian: "nginx-light", what: "a foreign HTTP server" },
  { program: "redis-server", debian: "redis-server", what: "a foreign TCP server" },
  { program: "redis-cli", debian: "redis-tools", what: "a foreign TCP client" },
  { program: "pg_createcluster", debian: "postgresql", what: "a foreign TCP server and client" },
  { program: "tcpdump", debian: "tcpdump", what: "packet captures" },
  { program: "setpriv", debian: "util-linux", what: "dropping privileges" },
  { program: "containerd", debian: "containerd", what: "pods" },
  { program: "runc", debian: "runc", what: "pods" },
  { program: CNI_PLUGIN, debian: "containernetworking-plugins", what: "pods' networks" },
  { program: "conntrack", debian: "conntrack", what: "Services of pods" },
  { program: "modprobe", debian: "kmod", what: "Services of pods" },
  { program: "prometheus", debian: "prometheus", what: "a foreign reader of metrics" },
  { program: EMULATOR, debian: "qemu-user-static", what: "images for arm64" },
];

/** Debian starts services on install; this file forbids it while we install. */
const POLICY = "/usr/sbin/policy-rc.d";

export async function provide(): Promise<void> {
  const absent = providePackages();
  if (absent.length > 0) {
    for (const { program, what } of absent) console.log(`missing: ${program} (${what})`);
    console.log(`Their suites are skipped. To run them: ${installLine(absent)}`);
  }
  const { provideTools } = await import("./tools.ts");
  await provideTools();
}

/** Installs what is missing of Debian, if it may. @returns what is still missing. */
export function providePackages(): readonly Need[] {
  const missing = NEEDS.filter(({ program }) => !isOnPath(program));
  const mayInstall =
    process.getuid?.() === 0 &&
    process.env["HEDDLE_NO_INSTALL"] !== "1" &&
    existsSync("/etc/debian_version");
  if (missing.length > 0 && mayInstall) install(missing);
  return NEEDS.filter(({ program }) => !isOnPath(program));
}

export function installLine(absent: readonly Need[]): string {
  return `apt-get install ${absent.map(({ debian }) => debian).join(" ")}`;
}

function install(missing: readonly Need[]): void {
  const forbid = !existsSync(POLICY);
  if (forbid) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    apt(["update", "-qq"]);
    for (const { debian, what } of missing) {
      console.log(`installing ${debian} (${what})`);
      apt(["install", "-y", "-qq", "--no-install-recommends", debian]);
    }
  } finally {
    if (forbid) rmSync(POLICY, { force: true });
  }
}

function apt(args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8" });
  if (status !== 0) console.error(`apt-get ${args.join(" ")}: ${stderr.trim()}`);
}

function isOnPath(program: string): boolean {
  if (program.startsWith("/")) return existsSync(program);
  const folders = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":");
  return folders.some((folder) => existsSync(`${folder}/${program}`));
}
