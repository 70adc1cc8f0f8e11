import { basename, dirname, join } from "node:path";
import { MeshError } from "@heddle/base/errors";
import type { Family } from "@heddle/inject/pod-rules";
import type { InitOptions, IptablesMode } from "./options.ts";

/** The programs that write one family's rules. */
export type Firewall =
  | { readonly kind: "iptables"; readonly program: string; readonly saveProgram: string }
  | { readonly kind: "nftables"; readonly program: string };

/** What is tried, in this order, where the wanted programs are not installed. */
const FALLBACKS: readonly IptablesMode[] = ["nft", "plain", "legacy", "nftables"];

/**
 * Chooses as Linkerd does: the mode, else the paths, else `iptables-legacy`; and others if those are
 * not installed.
 *
 * @param isInstalled - Of a program's name or path.
 * @throws MeshError `no_firewall` if nothing is installed.
 */
export function chooseFirewall(
  options: InitOptions,
  family: Family,
  isInstalled: (program: string) => boolean,
): Firewall {
  const wanted = wantedFirewall(options, family);
  const found = [wanted, ...FALLBACKS.map((mode) => firewallOf(mode, family))].find((firewall) =>
    programsOf(firewall).every(isInstalled),
  );
  if (found !== undefined) return found;
  const message = `Cannot write IPv${family} rules: ${programsOf(wanted).join(" and ")} are not installed, nor any other iptables or nft; install one, or name it by --iptables-mode`;
  throw new MeshError("no_firewall", "self", message);
}

/** What was asked for, installed or not. */
export function wantedFirewall(options: InitOptions, family: Family): Firewall {
  const { iptablesMode, firewallBinPath, firewallSaveBinPath } = options;
  if (iptablesMode !== "") return firewallOf(iptablesMode, family);
  if (firewallBinPath === "") return firewallOf("legacy", family);
  return {
    kind: "iptables",
    program: ofFamily(firewallBinPath, family),
    saveProgram: ofFamily(firewallSaveBinPath || `${firewallBinPath}-save`, family),
  };
}

function firewallOf(mode: IptablesMode, family: Family): Firewall {
  if (mode === "nftables") return { kind: "nftables", program: "nft" };
  const base = family === 4 ? "iptables" : "ip6tables";
  const program = mode === "plain" ? base : `${base}-${mode}`;
  return { kind: "iptables", program, saveProgram: `${program}-save` };
}

function programsOf(firewall: Firewall): string[] {
  if (firewall.kind === "nftables") return [firewall.program];
  return [firewall.program, firewall.saveProgram];
}

/** The flags name the program of IPv4; its twin lies beside it. */
function ofFamily(path: string, family: Family): string {
  if (family === 4) return path;
  const twin = basename(path).replace(/^iptables/, "ip6tables");
  return path.includes("/") ? join(dirname(path), twin) : twin;
}
