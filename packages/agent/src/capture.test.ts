import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { CaptureSettings } from "@heddle/inject/capture-rules";
import type { Firewall } from "./capture.ts";

const SETTINGS: CaptureSettings = {
  inboundPorts: [80, 5432],
  skipOutboundPorts: [22],
  skipOutboundAddresses: [
    { ip: "10.9.9.9", port: 8444 },
    { ip: "fd00::9", port: 8444 },
  ],
  proxyUid: 2102,
  proxyGid: 2102,
};

const LISTING: Record<Firewall, string> = {
  nft: "nft list ruleset",
  iptables: "iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'",
};

/** In a network namespace of its own: the rules before, with and after capture. */
function inNamespace(firewall: Firewall): { before: string; during: string; after: string } {
  const module = new URL("./capture.ts", import.meta.url).href;
  const script = `
    import { execSync } from "node:child_process";
    import { hasCapture, installCapture, removeCapture } from ${JSON.stringify(module)};
    const list = () => execSync(${JSON.stringify(LISTING[firewall])} + "; true", { encoding: "utf8" });
    // The table nat and its built-in chains come into being when somebody first uses them.
    const prime = "-t nat -A OUTPUT -p udp -j RETURN; iptables -t nat -F OUTPUT";
    if (${firewall === "iptables"}) {
      execSync("iptables " + prime);
      execSync("ip6tables " + prime.replace("iptables", "ip6tables"));
    }
    const before = list();
    installCapture(${JSON.stringify(firewall)}, ${JSON.stringify(SETTINGS)});
    installCapture(${JSON.stringify(firewall)}, ${JSON.stringify(SETTINGS)});
    const during = list();
    if (!hasCapture(${JSON.stringify(firewall)})) throw new Error("not seen");
    removeCapture(${JSON.stringify(firewall)});
    if (hasCapture(${JSON.stringify(firewall)})) throw new Error("still seen");
    console.log(JSON.stringify({ before, during, after: list() }));`;
  const args = ["-n", process.execPath, "--input-type=module-typescript", "-e", script];
  const { stdout, stderr } = spawnSync("unshare", args, { encoding: "utf8" });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout) as { before: string; during: string; after: string };
}

function missing(firewall: Firewall): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  const { status } = spawnSync("unshare", ["-n", firewall, "--version"]);
  return status === 0 ? false : `needs ${firewall} and unshare`;
}

for (const firewall of ["nft", "iptables"] as const) {
  test(`installCapture() with ${firewall} is undone to the byte by removeCapture(), also after a second install`, {
    skip: missing(firewall),
  }, () => {
    const { before, during, after } = inNamespace(firewall);
    assert.equal(after, before);
    const redirects = firewall === "nft" ? /redirect to :41/g : /REDIRECT --to-ports 41/g;
    // Two families by iptables: each inbound port and everything outbound.
    assert.equal([...during.matchAll(redirects)].length, firewall === "nft" ? 2 : 6);
  });
}
