import assert from "node:assert/strict";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { configurePod } from "./configure.ts";
import { INIT_DEFAULTS, type InitOptions, type IptablesMode } from "./options.ts";

const PROXY_UID = 2102;
const APP_UID = 1_000;

const TOOLS: Readonly<Record<IptablesMode, readonly string[]>> = {
  legacy: ["iptables-legacy", "ip6tables-legacy"],
  nft: ["iptables-nft", "ip6tables-nft"],
  plain: ["iptables", "ip6tables"],
  nftables: ["nft"],
};

/** A pod whose "proxy" listens on both of its ports, and an application on two. */
async function pod(options: Partial<InitOptions>): Promise<PodNetwork> {
  const network = new PodNetwork();
  await network.listen(network.pod, "inbound=4143", "outbound=4140", "app=8080", "skipped=9000");
  await network.listen(network.node, "elsewhere=7000", "passed=7001");
  await configurePod(
    {
      ...INIT_DEFAULTS,
      incomingProxyPort: 4143,
      outgoingProxyPort: 4140,
      proxyUid: PROXY_UID,
      netns: network.path,
      ...options,
    },
    { log: Log.silent() },
  );
  return network;
}

for (const iptablesMode of ["legacy", "nft", "nftables"] as const) {
  for (const [family, node, own, loopback] of [
    [4, "10.99.0.1", "10.99.0.2", "127.0.0.1"],
    [6, "fd99::1", "fd99::2", "::1"],
  ] as const) {
    test(`[ND32] a pod's IPv${family} traffic goes through its proxy as the rules of ${iptablesMode} say`, {
      skip: noNamespaces(...TOOLS[iptablesMode]),
    }, async () => {
      const inboundPortsToIgnore = ["4190", "9000-9010"];
      const outboundPortsToIgnore = ["7001"];
      await using network = await pod({
        iptablesMode,
        inboundPortsToIgnore,
        outboundPortsToIgnore,
      });
      const reaches = async (
        at: string,
        host: string,
        port: number,
        uid = APP_UID,
      ): Promise<string> => (await network.dial(at, host, port, uid)).split(" ")[0]!;
      const { pod: inside, node: outside } = network;
      // What comes in goes to the proxy, but for skipped ports.
      assert.equal(await reaches(outside, own, 8080), "inbound");
      assert.equal(await reaches(outside, own, 9999), "inbound");
      assert.equal(await reaches(outside, own, 9000), "skipped");
      // What goes out goes to the proxy, but for skipped ports and for what the proxy sends itself.
      assert.equal(await reaches(inside, node, 7000), "outbound");
      assert.equal(await reaches(inside, node, 7001), "passed");
      assert.equal(await reaches(inside, node, 7000, PROXY_UID), "elsewhere");
      // What stays in the pod goes nowhere else, by whatever address.
      assert.equal(await reaches(inside, loopback, 8080), "app");
      assert.equal(await reaches(inside, own, 8080), "app");
    });
  }
}

test("connections from a skipped subnet pass the proxy by, and what goes there does not", {
  skip: noNamespaces(...TOOLS.nft),
}, async () => {
  await using network = await pod({
    iptablesMode: "nft",
    subnetsToIgnore: ["10.99.0.1/32", "fd00::/8"],
  });
  assert.match(
    await network.dial(network.node, "10.99.0.2", 8080),
    /^app .* from \S*10\.99\.0\.1$/,
  );
  assert.match(await network.dial(network.node, "fd99::2", 8080), /^app /);
  assert.match(await network.dial(network.pod, "10.99.0.1", 7000, APP_UID), /^outbound /);
});

test("only listed inbound ports go to the proxy where ports are listed", {
  skip: noNamespaces(...TOOLS.nft),
}, async () => {
  await using network = await pod({ iptablesMode: "nft", portsToRedirect: [8080] });
  assert.match(await network.dial(network.node, "10.99.0.2", 8080), /^inbound /);
  assert.match(await network.dial(network.node, "10.99.0.2", 9000), /^skipped /);
});

test("a group is told apart as a user is", { skip: noNamespaces(...TOOLS.nft) }, async () => {
  await using network = await pod({ iptablesMode: "nft", proxyUid: -1, proxyGid: PROXY_UID });
  assert.match(await network.dial(network.pod, "10.99.0.1", 7000, PROXY_UID), /^elsewhere /);
  assert.match(await network.dial(network.pod, "10.99.0.1", 7000, APP_UID), /^outbound /);
});
