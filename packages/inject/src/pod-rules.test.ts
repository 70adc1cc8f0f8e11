import assert from "node:assert/strict";
import { test } from "node:test";
import { podNftRules } from "./pod-nft-rules.ts";
import { type PodRules, podRuleCommands, podRuleRemoval } from "./pod-rules.ts";
import { parsePortRanges } from "./port-list.ts";

const PLAIN: PodRules = {
  inboundPort: 4143,
  outboundPort: 4140,
  proxyUid: 2102,
  proxyGid: -1,
  redirectPorts: [],
  skipInbound: parsePortRanges("4190,4191"),
  skipOutbound: [],
  skipSubnets: [],
};

function commands(rules: Partial<PodRules>, family: 4 | 6 = 4, existing = ""): string[] {
  return podRuleCommands({ ...PLAIN, ...rules }, family, existing).map((args) => args.join(" "));
}

test("podRuleCommands() writes Linkerd's rules in Linkerd's order", () => {
  const rules = {
    proxyGid: 2103,
    skipOutbound: parsePortRanges("4567-4568"),
    skipSubnets: ["10.9.0.0/16"],
  };
  assert.deepEqual(commands(rules), [
    "-t nat -N PROXY_INIT_REDIRECT",
    "-t nat -A PROXY_INIT_REDIRECT -p tcp --match multiport --dports 4190,4191 -j RETURN -m comment --comment proxy-init/ignore-port-4190,4191",
    "-t nat -A PROXY_INIT_REDIRECT -p all -j RETURN -s 10.9.0.0/16 -m comment --comment proxy-init/ignore-subnet-10.9.0.0/16",
    "-t nat -A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-port 4143 -m comment --comment proxy-init/redirect-all-incoming-to-proxy-port",
    "-t nat -A PREROUTING -j PROXY_INIT_REDIRECT -m comment --comment proxy-init/install-proxy-init-prerouting",
    "-t nat -N PROXY_INIT_OUTPUT",
    "-t nat -A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN -m comment --comment proxy-init/ignore-proxy-user-id",
    "-t nat -A PROXY_INIT_OUTPUT -m owner --gid-owner 2103 -j RETURN -m comment --comment proxy-init/ignore-proxy-group-id",
    "-t nat -A PROXY_INIT_OUTPUT -o lo -j RETURN -m comment --comment proxy-init/ignore-loopback",
    "-t nat -A PROXY_INIT_OUTPUT -p tcp --match multiport --dports 4567:4568 -j RETURN -m comment --comment proxy-init/ignore-port-4567:4568",
    "-t nat -A PROXY_INIT_OUTPUT -p tcp -j REDIRECT --to-port 4140 -m comment --comment proxy-init/redirect-all-outgoing-to-proxy-port",
    "-t nat -A OUTPUT -j PROXY_INIT_OUTPUT -m comment --comment proxy-init/install-proxy-init-output",
  ]);
});

test("podRuleCommands() excludes no user 0, and no group below 1", () => {
  const all = commands({ proxyUid: 0, proxyGid: 0 }).join("\n");
  assert.doesNotMatch(all, /owner/);
});

test("podRuleCommands() redirects listed ports one by one", () => {
  const redirects = commands({ redirectPorts: [80, 443] }).filter((one) => one.includes(" 4143 "));
  assert.deepEqual(redirects, [
    "-t nat -A PROXY_INIT_REDIRECT -p tcp --destination-port 80 -j REDIRECT --to-port 4143 -m comment --comment proxy-init/redirect-port-80-to-proxy-port",
    "-t nat -A PROXY_INIT_REDIRECT -p tcp --destination-port 443 -j REDIRECT --to-port 4143 -m comment --comment proxy-init/redirect-port-443-to-proxy-port",
  ]);
});

test("podRuleCommands() puts 15 ports into a rule, and counts a range as two", () => {
  const ports = Array.from({ length: 14 }, (_, i) => String(i + 1));
  const skipInbound = parsePortRanges([...ports, "20-30", "40"].join());
  const lists = commands({ skipInbound }).flatMap((one) => /--dports (\S+)/.exec(one)?.[1] ?? []);
  assert.deepEqual(lists, [ports.join(), "20:30,40"]);
});

test("podRuleCommands() empties chains that are there, and adds no jump twice", () => {
  const existing = [
    ":PROXY_INIT_REDIRECT - [0:0]",
    ":PROXY_INIT_OUTPUT - [0:0]",
    '-A PREROUTING -m comment --comment "proxy-init/x" -j PROXY_INIT_REDIRECT',
    "-A OUTPUT -j PROXY_INIT_OUTPUT",
  ].join("\n");
  const again = commands({}, 4, existing);
  assert.deepEqual(
    again.filter((one) => /-[NF] /.test(one)),
    ["-t nat -F PROXY_INIT_REDIRECT", "-t nat -F PROXY_INIT_OUTPUT"],
  );
  assert.equal(again.filter((one) => /-A (?:PREROUTING|OUTPUT) /.test(one)).length, 0);
});

test("podRuleCommands() gives each family its own networks", () => {
  const rules = { skipSubnets: ["10.9.0.0/16", "fd00:9::/64"] };
  const sources = (family: 4 | 6): string[] =>
    commands(rules, family).flatMap((one) => / -s (\S+)/.exec(one)?.[1] ?? []);
  assert.deepEqual(sources(4), ["10.9.0.0/16"]);
  assert.deepEqual(sources(6), ["fd00:9::/64"]);
});

test("podRuleRemoval() takes the jumps away before the chains", () => {
  assert.deepEqual(
    podRuleRemoval().map((args) => args.slice(2, 4).join(" ")),
    [
      "-D PREROUTING",
      "-D OUTPUT",
      "-F PROXY_INIT_OUTPUT",
      "-F PROXY_INIT_REDIRECT",
      "-X PROXY_INIT_OUTPUT",
      "-X PROXY_INIT_REDIRECT",
    ],
  );
});

test("podNftRules() merges ports that overlap, which a set refuses", () => {
  const skipInbound = parsePortRanges("90-100,4191,80-95,4190,101");
  const script = podNftRules({ ...PLAIN, skipInbound }, 4);
  assert.match(script, /tcp dport \{ 80-101, 4190-4191 \} return/);
});
