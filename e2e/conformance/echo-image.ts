import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestCa } from "@heddle/testkit/ca";
import { encodeImage, newLayer } from "../../scripts/images/oci.ts";
import type { TarEntry } from "../../scripts/images/tar.ts";
import { type Tool, toolPath } from "../../scripts/tools.ts";
import { ARCHITECTURE } from "../kube/test-images.ts";
import { ECHO_CLIENT, ECHO_SERVER } from "./programs.ts";

/** What the suite's manifests ask for. */
const NAME = "registry.k8s.io/gateway-api/echo-advanced:v1.5.1";

/** Writes the image that the suite's pods have, as an OCI archive. @returns its path. */
export async function writeEchoImage(folder: string): Promise<string> {
  const leaf = await (await TestCa.root()).leaf({ sans: [{ dns: "echo" }] });
  const entries: TarEntry[] = [
    ...["usr", "usr/local", "usr/local/bin", "etc"].map(
      (path): TarEntry => ({ type: "folder", path, mode: 0o755 }),
    ),
    { type: "folder", path: "tmp", mode: 0o1777 },
    program("server", ECHO_SERVER),
    program("client", ECHO_CLIENT),
    // Its pods serve TLS with these, and its clients do not verify them.
    { type: "file", path: "cert.crt", mode: 0o644, data: Buffer.from(leaf.pem) },
    { type: "file", path: "cert.key", mode: 0o644, data: Buffer.from(leaf.keyPem) },
  ];
  const archive = encodeImage({
    name: NAME,
    architecture: ARCHITECTURE,
    layers: [newLayer(NAME, entries)],
    user: "",
    entrypoint: ["/usr/local/bin/server"],
    command: [],
    labels: {},
  });
  const path = join(folder, "echo-advanced.tar");
  writeFileSync(path, archive);
  return path;
}

function program(name: string, tool: Tool): TarEntry {
  const data = readFileSync(toolPath(tool.name));
  return { type: "file", path: `usr/local/bin/${name}`, mode: 0o755, data };
}
