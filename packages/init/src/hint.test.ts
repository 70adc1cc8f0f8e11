import assert from "node:assert/strict";
import { test } from "node:test";
import { hintFor } from "./hint.ts";

for (const [said, expected] of [
  ["Fatal: can't open lock file /run/xtables.lock: Permission denied", /\/run must be writable/],
  [
    "Another app is currently holding the xtables lock. Perhaps you want to use the -w option?",
    /--use-wait-flag/,
  ],
  [
    "iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)",
    /NET_ADMIN/,
  ],
  [
    "iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
    /--iptables-mode/,
  ],
  ["iptables v1.8.9 (nf_tables): table `nat' is incompatible, use 'nft' tool.", /nftables/],
  ["iptables: No chain/target/match by that name.", /xt_owner/],
  ["ip6tables v1.8.9: socket: Address family not supported by protocol", /--ipv6=false/],
  ["nsenter: cannot open /run/netns/x: No such file or directory", /namespace is gone/],
  ["spawn iptables-nft ENOENT", /not installed/],
] as const) {
  test(`hintFor() knows what to do about: ${said}`, () => {
    assert.match(hintFor(said) ?? "", expected);
  });
}

test("hintFor() has nothing to say about what it does not know", () => {
  assert.equal(hintFor("it is raining"), undefined);
});
