/** Images of the programs that a test's cluster runs, from Debian's packages and our Go modules. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Contents } from "../../scripts/images/contents.ts";
import { debianPool, type Pool } from "../../scripts/images/debian.ts";
import { type Architecture, encodeImage, newLayer } from "../../scripts/images/oci.ts";
import type { TarEntry } from "../../scripts/images/tar.ts";
import { toolPath } from "../../scripts/tools.ts";
import { COREDNS_IMAGE, PAUSE_IMAGE } from "./node-config.ts";

export const BUSYBOX_IMAGE = "images.test/busybox:1";
export const CURL_IMAGE = "images.test/curl:1";
export const NGINX_IMAGE = "images.test/nginx:1";

const PACKAGES = ["busybox-static", "curl", "nginx-light"];

export const ARCHITECTURE: Architecture = process.arch === "arm64" ? "arm64" : "amd64";

/** Writes all of them as OCI archives. @returns their paths. */
export function writeTestImages(folder: string): string[] {
  const pool = debianPool(ARCHITECTURE, PACKAGES);
  const images: readonly (readonly [string, readonly string[], TarEntry[]])[] = [
    [PAUSE_IMAGE, ["/pause"], [tool("pause")]],
    [COREDNS_IMAGE, ["/coredns"], [tool("coredns")]],
    [BUSYBOX_IMAGE, [], busybox(pool)],
    [CURL_IMAGE, ["/usr/bin/curl"], [...busybox(pool), ...picked(pool, ["usr/bin/curl"])]],
    [NGINX_IMAGE, ["/usr/sbin/nginx", "-g", "daemon off;"], nginx(pool)],
  ];
  return images.map(([name, entrypoint, entries]) => {
    const unique = new Map([...base(), ...entries].map((entry) => [entry.path, entry]));
    const archive = encodeImage({
      name,
      architecture: ARCHITECTURE,
      layers: [newLayer(name, [...unique.values()])],
      user: "",
      entrypoint,
      command: [],
      labels: {},
    });
    const path = join(folder, `${name.replaceAll(/[/:]/g, "-")}.tar`);
    writeFileSync(path, archive);
    return path;
  });
}

function tool(name: string): TarEntry {
  return { type: "file", path: name, mode: 0o755, data: readFileSync(toolPath(name)) };
}

function base(): TarEntry[] {
  const users = "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:\nnobody:x:65534:65534::/:\n";
  const groups = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";
  return [
    ...["usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc"].map(folder),
    { type: "folder", path: "tmp", mode: 0o1777 },
    ...["bin", "sbin", "lib", "lib64"].map((path) => link(path, `usr/${path}`)),
    text("etc/passwd", users),
    text("etc/group", groups),
  ];
}

/** A shell and what goes with it. */
function busybox(pool: Pool): TarEntry[] {
  const program = pool.files.get("usr/bin/busybox");
  if (program === undefined) throw new Error("Cannot make an image: busybox-static has no busybox");
  const { stdout } = spawnSync(program.source, ["--list"], { encoding: "utf8" });
  const names = stdout.split("\n").filter((name) => name !== "" && name !== "busybox");
  return [
    ...picked(pool, ["usr/bin/busybox"]),
    ...names.map((name) => link(`usr/bin/${name}`, "busybox")),
  ];
}

const NGINX_CONF = `
worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server {
    listen 80;
    location /fail {
      return 500;
    }
    location / {
      return 200 "nginx at $server_addr\\n";
    }
  }
}
`;

function nginx(pool: Pool): TarEntry[] {
  return [
    // With something to ask it by, from within.
    ...busybox(pool),
    ...picked(pool, ["usr/bin/curl", "usr/sbin/nginx"]),
    ...["var", "var/log", "var/log/nginx", "etc/nginx"].map(folder),
    text("etc/nginx/nginx.conf", NGINX_CONF),
  ];
}

function picked(pool: Pool, paths: readonly string[]): TarEntry[] {
  const contents = new Contents(pool);
  for (const path of paths) contents.pick(path);
  return contents.layer();
}

function folder(path: string): TarEntry {
  return { type: "folder", path, mode: 0o755 };
}

function link(path: string, target: string): TarEntry {
  return { type: "link", path, mode: 0o777, target };
}

function text(path: string, content: string): TarEntry {
  return { type: "file", path, mode: 0o644, data: Buffer.from(content) };
}
