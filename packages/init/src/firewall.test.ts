import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseFirewall, wantedFirewall } from "./firewall.ts";
import { INIT_DEFAULTS, type InitOptions } from "./options.ts";

function options(some: Partial<InitOptions>): InitOptions {
  return { ...INIT_DEFAULTS, ...some };
}

/** Of each family, where these are installed. */
function chosen(some: Partial<InitOptions>, ...installed: readonly string[]): readonly string[] {
  return ([4, 6] as const).map((family) => {
    const isInstalled = (name: string): boolean => installed.includes(name);
    return chooseFirewall(options(some), family, isInstalled).program;
  });
}

const ALL = ["iptables", "ip6tables"].flatMap((name) =>
  ["", "-nft", "-legacy"].flatMap((kind) => [`${name}${kind}`, `${name}${kind}-save`]),
);

test("chooseFirewall() takes iptables-legacy where nothing is said, as Linkerd does", () => {
  assert.deepEqual(chosen({}, ...ALL), ["iptables-legacy", "ip6tables-legacy"]);
});

test("chooseFirewall() takes the paths, and their twins for IPv6", () => {
  const nft = { firewallBinPath: "iptables-nft", firewallSaveBinPath: "iptables-nft-save" };
  assert.deepEqual(chosen(nft, ...ALL), ["iptables-nft", "ip6tables-nft"]);
  assert.deepEqual(wantedFirewall(options({ firewallBinPath: "/opt/iptables/iptables" }), 6), {
    kind: "iptables",
    program: "/opt/iptables/ip6tables",
    saveProgram: "/opt/iptables/ip6tables-save",
  });
});

test("chooseFirewall() lets the mode go before the paths", () => {
  const both = { firewallBinPath: "iptables-nft", iptablesMode: "plain" } as const;
  assert.deepEqual(chosen(both, ...ALL), ["iptables", "ip6tables"]);
});

test("chooseFirewall() takes what there is: nft's iptables, plain, legacy, nft itself", () => {
  const wanted = { iptablesMode: "legacy" } as const;
  const without = (...gone: readonly string[]): string[] =>
    [...ALL, "nft"].filter((name) => !gone.some((one) => name.includes(one)));
  assert.deepEqual(chosen(wanted, ...without("legacy")), ["iptables-nft", "ip6tables-nft"]);
  assert.deepEqual(chosen(wanted, ...without("legacy", "-nft")), ["iptables", "ip6tables"]);
  assert.deepEqual(chosen({ iptablesMode: "nft" }, ...without("-nft", "tables-save")), [
    "iptables-legacy",
    "ip6tables-legacy",
  ]);
  assert.deepEqual(chosen(wanted, "nft"), ["nft", "nft"]);
});

test("chooseFirewall() wants the program that lists rules, too", () => {
  const alone = ["iptables-legacy", "iptables-nft", "iptables-nft-save", "nft"];
  assert.deepEqual(chosen({}, ...alone), ["iptables-nft", "nft"]);
});

test("chooseFirewall() says what to install", () => {
  assert.throws(() => chosen({ iptablesMode: "nft" }), {
    code: "no_firewall",
    message: /iptables-nft and iptables-nft-save are not installed.*--iptables-mode/,
  });
});
