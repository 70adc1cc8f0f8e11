import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { cleanPod, configurePod } from "./configure.ts";
import { INIT_DEFAULTS, type InitOptions } from "./options.ts";

const OPTIONS: InitOptions = {
  ...INIT_DEFAULTS,
  incomingProxyPort: 4143,
  outgoingProxyPort: 4140,
  proxyUid: 2102,
  proxyGid: 2103,
  inboundPortsToIgnore: ["4190", "4191", "4567-4568", "none"],
  outboundPortsToIgnore: ["4567", "4568"],
  subnetsToIgnore: ["10.9.0.0/16", " fd00:9::/64"],
};

/** What `iptables-save -t nat` prints of these options' rules, and of no others. */
function saved(subnet: string): string {
  return `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:PROXY_INIT_OUTPUT - [0:0]
:PROXY_INIT_REDIRECT - [0:0]
-A PREROUTING -m comment --comment "proxy-init/install-proxy-init-prerouting" -j PROXY_INIT_REDIRECT
-A OUTPUT -m comment --comment "proxy-init/install-proxy-init-output" -j PROXY_INIT_OUTPUT
-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -m comment --comment "proxy-init/ignore-proxy-user-id" -j RETURN
-A PROXY_INIT_OUTPUT -m owner --gid-owner 2103 -m comment --comment "proxy-init/ignore-proxy-group-id" -j RETURN
-A PROXY_INIT_OUTPUT -o lo -m comment --comment "proxy-init/ignore-loopback" -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 4567,4568 -m comment --comment "proxy-init/ignore-port-4567,4568" -j RETURN
-A PROXY_INIT_OUTPUT -p tcp -m comment --comment "proxy-init/redirect-all-outgoing-to-proxy-port" -j REDIRECT --to-ports 4140
-A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4190,4191,4567:4568 -m comment --comment "proxy-init/ignore-port-4190,4191,4567:4568" -j RETURN
-A PROXY_INIT_REDIRECT -s ${subnet} -m comment --comment "proxy-init/ignore-subnet-${subnet}" -j RETURN
-A PROXY_INIT_REDIRECT -p tcp -m comment --comment "proxy-init/redirect-all-incoming-to-proxy-port" -j REDIRECT --to-ports 4143
COMMIT`;
}

/** Counters and the time say nothing about rules. */
async function save(network: PodNetwork, program: string): Promise<string> {
  const text = await network.run(network.pod, program, "-t", "nat");
  return text
    .replaceAll(/^#.*\n?/gm, "")
    .replaceAll(/\[\d+:\d+\]/g, "[0:0]")
    .trim();
}

for (const [mode, suffix] of [
  ["legacy", "-legacy"],
  ["nft", "-nft"],
  ["plain", ""],
] as const) {
  const skip = noNamespaces(`iptables${suffix}`, `ip6tables${suffix}`);
  test(`configurePod() in mode ${mode} leaves Linkerd's rules, also the second time`, {
    skip,
  }, async () => {
    await using network = new PodNetwork();
    const options = { ...OPTIONS, iptablesMode: mode, netns: network.path };
    await configurePod(options, { log: Log.silent() });
    await configurePod({ ...options, useWaitFlag: true }, { log: Log.silent() });
    assert.equal(await save(network, `iptables${suffix}-save`), saved("10.9.0.0/16"));
    assert.equal(await save(network, `ip6tables${suffix}-save`), saved("fd00:9::/64"));
    await cleanPod(options, { log: Log.silent() });
    assert.doesNotMatch(await save(network, `iptables${suffix}-save`), /PROXY_INIT/);
    assert.doesNotMatch(await save(network, `ip6tables${suffix}-save`), /PROXY_INIT/);
  });
}

test("configurePod() with nftables replaces its own table, and leaves others alone", {
  skip: noNamespaces("nft"),
}, async () => {
  await using network = new PodNetwork();
  const options: InitOptions = { ...OPTIONS, iptablesMode: "nftables", netns: network.path };
  await network.run(network.pod, "nft", "add", "table", "ip", "theirs");
  const before = await network.run(network.pod, "nft", "list", "ruleset");
  await configurePod(options, { log: Log.silent() });
  const once = await network.run(network.pod, "nft", "list", "ruleset");
  await configurePod(options, { log: Log.silent() });
  assert.equal(await network.run(network.pod, "nft", "list", "ruleset"), once);
  assert.match(once, /ip saddr 10\.9\.0\.0\/16 return/);
  assert.match(once, /ip6 saddr fd00:9::\/64 return/);
  assert.equal(once.match(/redirect to :4143/g)?.length, 2);
  await cleanPod(options, { log: Log.silent() });
  assert.equal(await network.run(network.pod, "nft", "list", "ruleset"), before);
});

test("configurePod() with ipv6 off leaves IPv6 alone", {
  skip: noNamespaces("iptables-nft", "ip6tables-nft"),
}, async () => {
  await using network = new PodNetwork();
  const options: InitOptions = {
    ...OPTIONS,
    iptablesMode: "nft",
    ipv6: false,
    netns: network.path,
  };
  await configurePod(options, { log: Log.silent() });
  assert.match(await save(network, "iptables-nft-save"), /PROXY_INIT/);
  assert.doesNotMatch(await save(network, "ip6tables-nft-save"), /PROXY_INIT/);
});

test("configurePod() tells each command with simulate, and runs none", async () => {
  const lines: string[] = [];
  const log = Log.root({ filter: "info", uptimeMs: () => 0, write: (line) => lines.push(line) });
  await configurePod({ ...OPTIONS, simulate: true, iptablesMode: "nft" }, { log });
  const commands = lines.filter((line) => line.includes("tables-nft"));
  // A listing before and after twelve commands, of each family.
  assert.equal(commands.length, 28);
  assert.match(commands[0]!, /iptables-nft-save -t nat$/);
  assert.match(commands[14]!, /ip6tables-nft-save -t nat$/);
});

test("configurePod() takes nothing for a port that is none, however it is written", async () => {
  const lines: string[] = [];
  const log = Log.root({ filter: "info", uptimeMs: () => 0, write: (line) => lines.push(line) });
  const hostile = [
    "80 -j ACCEPT",
    "--help",
    "1\n2",
    "$(reboot)",
    "-1",
    "65536",
    "9-8",
    "1-2-3",
    "",
  ];
  const options: InitOptions = {
    ...OPTIONS,
    simulate: true,
    iptablesMode: "nft",
    inboundPortsToIgnore: [...hostile, "4191"],
    outboundPortsToIgnore: hostile,
  };
  await configurePod(options, { log });
  const lists = lines.flatMap((line) => /--dports (.*?) -j/.exec(line)?.[1] ?? []);
  assert.deepEqual(lists, ["4191", "4191"]);
});

for (const [change, expected] of [
  [{ incomingProxyPort: -1 }, /--incoming-proxy-port: it is missing/],
  [{ outgoingProxyPort: 70_000 }, /--outgoing-proxy-port 70000: it must be a valid TCP port/],
  [{ subnetsToIgnore: ["10.0.0.1"] }, /"10\.0\.0\.1": it is not a valid CIDR address/],
  [{ subnetsToIgnore: ["10.0.0.0/33"] }, /"10\.0\.0\.0\/33": it is not a valid CIDR address/],
  [{ subnetsToIgnore: ["10.0.0.0/8 -j ACCEPT"] }, /it is not a valid CIDR address/],
  [{ portsToRedirect: [0] }, /--ports-to-redirect 0: it must be a valid TCP port/],
] as const) {
  test(`configurePod() refuses ${JSON.stringify(change)}`, async () => {
    await assert.rejects(
      configurePod({ ...OPTIONS, simulate: true, ...change }, { log: Log.silent() }),
      (error) => error instanceof MeshError && expected.test(error.message),
    );
  });
}

test("configurePod() says what to do where it may not change rules", {
  skip: noNamespaces("iptables-nft", "setpriv"),
}, async () => {
  const module = new URL("./configure.ts", import.meta.url).href;
  const script = `
    import { Log } from "@heddle/base/log";
    import { configurePod } from ${JSON.stringify(module)};
    const options = ${JSON.stringify({ ...OPTIONS, iptablesMode: "nft" })};
    await configurePod(options, { log: Log.silent() }).catch((error) => console.log(error.message));`;
  const node = [process.execPath, "--input-type=module-typescript", "-e", script];
  const drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
  const said = execFileSync("unshare", ["-n", ...drop, ...node], {
    encoding: "utf8",
    cwd: import.meta.dirname,
  });
  assert.match(said, /Cannot run .*iptables-nft/);
  assert.match(said, /needs the capabilities NET_ADMIN and NET_RAW/);
});
