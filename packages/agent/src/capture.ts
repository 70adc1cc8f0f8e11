import { spawnSync } from "node:child_process";
import { MeshError } from "@heddle/base/errors";
import {
  type CaptureSettings,
  iptablesRemoval,
  iptablesRules,
  NFT_TABLE,
  nftRemoval,
  nftRules,
} from "@heddle/inject/capture-rules";

/** Which program holds the rules. */
export type Firewall = "nft" | "iptables";

/**
 * The firewall of this machine: nftables, or iptables where nft is missing.
 *
 * @throws MeshError `no_firewall` if there is neither, or we may not use it.
 */
export function findFirewall(): Firewall {
  const nft = run("nft", ["list", "tables"]);
  if (nft.isOk) return "nft";
  const iptables = run("iptables", ["-t", "nat", "-S"]);
  if (iptables.isOk) return "iptables";
  const message = `Cannot capture traffic: nft says "${nft.error}", iptables says "${iptables.error}"; run as root with nftables installed, or join with --rootless`;
  throw new MeshError("no_firewall", "self", message);
}

/** Puts the rules in place, in place of those of ours that are there. All of them or none. */
export function installCapture(firewall: Firewall, settings: CaptureSettings): void {
  if (firewall === "nft") {
    mustRun("nft", ["-f", "-"], nftRules(settings));
    return;
  }
  removeCapture("iptables");
  try {
    for (const args of iptablesRules(settings, 4)) mustRun("iptables", args);
    if (hasIp6Nat()) for (const args of iptablesRules(settings, 6)) mustRun("ip6tables", args);
  } catch (error) {
    removeCapture("iptables");
    throw error;
  }
}

/** Takes away what `installCapture` added, and nothing else. Harmless where nothing is there. */
export function removeCapture(firewall: Firewall): void {
  if (firewall === "nft") {
    mustRun("nft", ["-f", "-"], nftRemoval());
    return;
  }
  for (const program of hasIp6Nat() ? ["iptables", "ip6tables"] : ["iptables"]) {
    for (const args of iptablesRemoval()) run(program, args);
  }
}

/** Whether our rules are there. */
export function hasCapture(firewall: Firewall): boolean {
  if (firewall === "nft") return run("nft", ["list", "table", "inet", NFT_TABLE]).isOk;
  return run("iptables", ["-t", "nat", "-S", "HEDDLE_OUTBOUND"]).isOk;
}

function hasIp6Nat(): boolean {
  return run("ip6tables", ["-t", "nat", "-S"]).isOk;
}

function mustRun(program: string, args: readonly string[], input?: string): void {
  const { isOk, error } = run(program, args, input);
  if (isOk) return;
  const message = `Cannot change capture rules: ${program} ${args.join(" ")}: ${error}`;
  throw new MeshError("capture_failed", "self", message);
}

function run(
  program: string,
  args: readonly string[],
  input?: string,
): { readonly isOk: boolean; readonly error: string } {
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  const result = spawnSync(program, args, { env, input: input ?? "", encoding: "utf8" });
  if (result.error !== undefined) return { isOk: false, error: result.error.message };
  return { isOk: result.status === 0, error: result.stderr.trim() };
}
