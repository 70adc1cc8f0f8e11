import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Log } from "@heddle/base/log";
import { eventually } from "@heddle/cli/mesh";
import type { InstallSettings } from "@heddle/init/cni/install-settings";
import { runInstaller } from "@heddle/init/cni/installer";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { NAMESPACES, PODS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { writeCniPlugin } from "../scripts/cni-plugin.ts";
import { CniFailure, CniRuntime } from "./cni/runtime.ts";

/** Where Debian's containernetworking-plugins are. */
const DEBIAN = "/usr/lib/cni";
const CHAIN = ["bridge", "host-local", "tuning", "loopback"];
const absent = CHAIN.filter((name) => !existsSync(join(DEBIAN, name)));
const skip =
  (absent.length > 0 && `not in ${DEBIAN}: ${absent.join(", ")} (containernetworking-plugins)`) ||
  noNamespaces("iptables-nft", "ip6tables-nft");

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;

interface Answer {
  readonly cniVersion: string;
  readonly ips: readonly { readonly address: string }[];
}

/** A bridge for pods, both families, and a plugin that changes the interface after it. */
function bridgeList(folder: string, cniVersion: string): object {
  const range = (subnet: string): readonly object[] => [{ subnet }];
  return {
    cniVersion,
    name: "pods",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        ipam: {
          type: "host-local",
          ranges: [range("10.88.0.0/24"), range("fd88::/64")],
          routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
          dataDir: join(folder, "addresses"),
        },
      },
      { type: "tuning", mtu: 1_400 },
    ],
  };
}

for (const cniVersion of ["0.3.1", "0.4.0", "1.0.0"]) {
  test(`[ND33] a pod gets addresses by the bridge plugin and rules by ours, in CNI ${cniVersion}`, {
    skip,
  }, async () => {
    await using parts = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "heddle-chain-"));
    parts.defer(() => rmSync(folder, { recursive: true, force: true }));
    const at = (name: string): string => join(folder, name);
    for (const name of ["net.d", "bin", "account"]) mkdirSync(at(name));
    writeFileSync(at("net.d/10-pods.conflist"), JSON.stringify(bridgeList(folder, cniVersion)));
    await writeCniPlugin(at("source"));

    const store = parts.use(await ApiStore.start());
    const cluster = loadKubeconfig({ paths: [join(store.folder, "admin.kubeconfig")] });
    await store.client.create(NAMESPACES, { metadata: { name: "shop" } });
    const annotations = { "config.linkerd.io/skip-inbound-ports": "9000" };
    const containers = ["app", "linkerd-proxy"].map((name) => ({ name, image: "image:1" }));
    const metadata = { name: "web", namespace: "shop", annotations };
    await store.client.create(PODS, { metadata, spec: { containers } });
    const proof = await cluster.credentials.current();
    writeFileSync(at("account/token"), proof.authorization!.replace("Bearer ", ""));
    writeFileSync(at("account/ca.crt"), cluster.tls.ca!);

    const stop = new AbortController();
    const settled = Promise.withResolvers<void>();
    const settings: InstallSettings = {
      sourceFolder: at("source"),
      hostBinFolder: at("bin"),
      hostConfFolder: at("net.d"),
      kubeconfigName: "kubeconfig",
      kubeconfigPath: at("net.d/kubeconfig"),
      accountFolder: at("account"),
      caFile: at("account/ca.crt"),
      skipTlsVerify: false,
      apiServer: cluster.server.origin,
      plugin: {
        name: "linkerd-cni",
        type: "linkerd-cni",
        log_level: "debug",
        kubernetes: { kubeconfig: at("net.d/kubeconfig") },
        linkerd: {
          "incoming-proxy-port": 4143,
          "outgoing-proxy-port": 4140,
          "proxy-uid": 2102,
          "inbound-ports-to-ignore": ["4191", "4190"],
          "iptables-mode": "nft",
          ipv6: true,
        },
      },
      stay: true,
    };
    const log = Log.silent();
    const installed = runInstaller(settings, {
      log,
      signal: stop.signal,
      onSettled: settled.resolve,
    });
    parts.defer(async () => {
      stop.abort();
      await installed;
    });
    await Promise.race([settled.promise, installed]);

    const network = parts.use(new PodNetwork({ hasCable: false }));
    const runtime = new CniRuntime({
      confFolder: at("net.d"),
      binFolders: [at("bin"), DEBIAN],
      // The bridge is the node's. Our API server listens on this machine, where our plugin runs.
      place: (type) => (type === "linkerd-cni" ? [] : ["ip", "netns", "exec", network.node]),
    });
    const pod = { containerId: "c0ffee", netns: network.path, namespace: "shop", name: "web" };
    const answer = (await runtime.add(pod)) as Answer;
    assert.equal(answer.cniVersion, cniVersion);
    const [v4, v6] = answer.ips.map(({ address }) => address.split("/")[0]!);
    // The kernel looks for duplicates of new IPv6 addresses, which nobody may use meanwhile.
    for (const at of [network.node, network.pod]) {
      await eventually(`addresses of ${at}`, NEVER, async () => {
        assert.equal(await network.run(at, "ip", "-6", "address", "show", "tentative"), "");
      });
    }
    await network.listen(network.pod, "inbound=4143", "outbound=4140", "skipped=9000");
    for (const address of [v4!, v6!]) {
      assert.match(await network.dial(network.node, address, 80), /^inbound /, address);
      assert.match(await network.dial(network.node, address, 9000), /^skipped /, address);
    }
    assert.match(await network.dial(network.pod, "10.88.0.1", 80, 1_000), /^outbound /);
    assert.match(await network.dial(network.pod, "fd88::1", 80, 1_000), /^outbound /);
    if (cniVersion !== "0.3.1") await runtime.check(pod);
    await runtime.delete(pod);
    assert.doesNotMatch(await network.run(network.pod, "ip", "link"), /eth0/);

    const stranger = { ...pod, containerId: "beef", name: "nobody" };
    await assert.rejects(runtime.add(stranger), (error) => {
      assert.ok(error instanceof CniFailure);
      assert.match(error.message, /linkerd-cni ADD: \{[\s\S]*"code": 11,[\s\S]*nobody/);
      return true;
    });
    await runtime.delete(stranger);
    const list = JSON.parse(readFileSync(at("net.d/10-pods.conflist"), "utf8"));
    assert.equal(list.plugins.length, 3);
  });
}
