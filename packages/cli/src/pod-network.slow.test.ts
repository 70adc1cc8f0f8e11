import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { initContainer, validatorContainer } from "@heddle/inject/containers";
import { readValues } from "@heddle/inject/values";
import { noNamespaces, PodNetwork } from "@heddle/testkit/pod-network";
import { selfCommand } from "./self.ts";

const POD = { metadata: { name: "web", namespace: "shop" }, spec: { containers: [] } };
const UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/** What the injector's security context gives to linkerd-init. */
const INIT_CAPS = "+net_admin,+net_raw";

interface Ended {
  readonly code: number | null;
  readonly err: string;
}

const CLONE = join(import.meta.dirname, "../../..");
/** Where everybody can read the clone, in the mount namespace that `ip netns exec` makes. */
const PLACE = "/mnt";
const PLACED = `mount --bind "$0" ${PLACE} && exec "$@"`;

/** Runs us in a pod's namespace, by way of a program that takes privileges away. */
function run(network: PodNetwork, wrapper: readonly string[], args: readonly string[]): Ended {
  const { command, args: lead } = selfCommand();
  const self = [command, ...lead].map((part) => part.replace(CLONE, PLACE));
  const line = ["netns", "exec", network.pod, "sh", "-c", PLACED, CLONE, ...wrapper];
  const { status, stderr } = spawnSync("ip", [...line, ...self, ...args], { encoding: "utf8" });
  return { code: status, err: stderr };
}

for (const [name, values] of [
  ["IPv4", ""],
  ["IPv6 too", "disableIPv6: false"],
] as const) {
  for (const mode of ["nft", "nftables"]) {
    test(`the injector's init container makes its network validator succeed: ${name}, ${mode}`, {
      skip: noNamespaces("iptables-nft", "ip6tables-nft", "nft", "setpriv"),
    }, async () => {
      await using network = new PodNetwork();
      const read = readValues(
        `identityTrustAnchorsPEM: ANCHORS\nproxyInit: { iptablesMode: ${mode} }\n${values}`,
        "test",
      );
      const validate = (...more: readonly string[]): Ended => {
        const args = validatorContainer(read)["args"] as readonly string[];
        return run(network, UNPRIVILEGED, ["network-validator", ...args, ...more]);
      };
      const before = validate("--timeout", "300ms");
      assert.equal(before.code, 95, before.err);
      const args = initContainer(read, POD)["args"] as readonly string[];
      const caps = [`--inh-caps=${INIT_CAPS}`, `--ambient-caps=${INIT_CAPS}`];
      const made = run(network, [...UNPRIVILEGED, ...caps], ["init", ...args]);
      assert.equal(made.code, 0, made.err);
      const after = validate();
      assert.equal(after.code, 0, after.err);
      assert.match(after.err, / INFO linkerd_network_validator: Validated/);
    });
  }
}

test("heddle init sets how long the kernel waits for closed connections", {
  skip: noNamespaces("iptables-nft"),
}, async () => {
  await using network = new PodNetwork();
  const args = ["-p", "4143", "-o", "4140", "--iptables-mode", "nft", "--ipv6=false"];
  const { code, err } = run(network, [], ["init", ...args, "--timeout-close-wait-secs", "77"]);
  assert.equal(code, 0, err);
  const path = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";
  assert.equal(await network.run(network.pod, "cat", path), "77");
  const wrapper = [...UNPRIVILEGED];
  const refused = run(network, wrapper, ["init", ...args, "--timeout-close-wait-secs", "78"]);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /must be root and privileged/);
});
