import assert from "node:assert/strict";
import { test } from "node:test";
import { initContainer, validatorContainer } from "@heddle/inject/containers";
import { readValues } from "@heddle/inject/values";
import { runInProcess } from "./testing/run.ts";

const POD = { metadata: { name: "web", namespace: "shop" }, spec: { containers: [] } };

/** What the injector tells a container of a pod to do. */
function argumentsOf(make: typeof initContainer, values: string): readonly string[] {
  const read = readValues(`identityTrustAnchorsPEM: ANCHORS\n${values}`, "test");
  return make(read, POD)["args"] as readonly string[];
}

/** The programs and rules that `heddle init` would run, as the injector calls it. */
async function simulate(values: string): Promise<readonly string[]> {
  const args = argumentsOf(initContainer, values);
  const { code, err } = await runInProcess(["init", ...args, "--simulate"]);
  assert.equal(code, 0, err);
  return err.split("\n").map((line) => line.replace(/^.*proxy-init: /, ""));
}

test("heddle init does what the injector says by default", async () => {
  const said = await simulate("");
  assert.equal(said[0], "iptables-nft-save -t nat");
  assert.match(said[2]!, /--dports 4190,4191,4567,4568 -j RETURN/);
  assert.ok(said.some((line) => /--uid-owner 2102 -j RETURN/.test(line)));
  assert.equal(said.filter((line) => line.startsWith("ip6tables")).length, 0);
});

test("heddle init does what the injector says of every setting", async () => {
  const said = await simulate(`
disableIPv6: false
proxy: { uid: 7, gid: 8, ports: { inbound: 5143, outbound: 5140 } }
proxyInit:
  iptablesMode: legacy
  ignoreInboundPorts: "80,90-99"
  ignoreOutboundPorts: "25"
  skipSubnets: "10.0.0.0/8,fd00::/8"
  closeWaitTimeoutSecs: 60
  runAsRoot: true
  logLevel: debug
`);
  assert.equal(said[0], "net.netfilter.nf_conntrack_tcp_timeout_close_wait = 60");
  assert.equal(said[1], "iptables-legacy-save -t nat");
  for (const part of [
    "--dports 4190,4191,80,90:99 -j RETURN",
    "-p all -j RETURN -s 10.0.0.0/8",
    "--to-port 5143",
    "--uid-owner 7",
    "--gid-owner 8",
    "--dports 25 -j RETURN",
    "--to-port 5140",
  ]) {
    assert.ok(
      said.some((line) => line.startsWith("iptables-legacy ") && line.includes(part)),
      part,
    );
  }
  assert.ok(said.some((line) => /^ip6tables-legacy .* -s fd00::\/8/.test(line)));
});

for (const [mode, first] of [
  ["plain", "iptables-save -t nat"],
  ["nftables", "nft -f -"],
] as const) {
  test(`heddle init takes the mode ${mode} from the injector`, async () => {
    assert.equal((await simulate(`proxyInit: { iptablesMode: ${mode} }`))[0], first);
  });
}

test("heddle init writes JSON where it is asked to", async () => {
  const args = ["-p", "4143", "-o", "4140", "--simulate", "--log-format", "json"];
  const { err } = await runInProcess(["init", ...args]);
  const [first] = err.split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(
    [first.level, first.target, first.fields.message],
    ["INFO", "proxy-init", "iptables-legacy-save -t nat"],
  );
});

for (const [args, code, expected] of [
  [[], 1, /--incoming-proxy-port: it is missing/],
  [["--nope"], 2, /unknown flag --nope[\s\S]*usage: heddle init/],
  [["-p", "1", "-o", "2", "--iptables-mode", "magic"], 1, /--iptables-mode "magic"/],
  [["-p", "1", "-o", "2", "--log-level", "loud"], 2, /--log-level is one of/],
] as const) {
  test(`heddle init ${args.join(" ")} is refused`, async () => {
    const { code: found, err } = await runInProcess(["init", ...args]);
    assert.equal(found, code);
    assert.match(err, expected);
  });
}

test("heddle network-validator takes what the injector says, and fails without rules", async () => {
  for (const values of ["", "disableIPv6: false"]) {
    const said = argumentsOf((read) => validatorContainer(read), values);
    // The last of two counts: here we may not wait for an address where nobody is.
    const args = [...said, "--connect-addr", "127.0.0.1:1", "--listen-addr", "127.0.0.1:0"];
    const { code, err } = await runInProcess(["network-validator", ...args]);
    assert.equal(code, 95);
    assert.match(err, /ERROR linkerd_network_validator: Cannot reach 127\.0\.0\.1:1/);
  }
});

for (const [args, expected] of [
  [["--timeout", "120"], /--timeout: "120" is not a duration/],
  [["--listen-addr", "4140"], /--listen-addr: "4140" is not an address/],
  [["--log-level", "loud"], /--log-level: unknown log level "loud"/],
] as const) {
  test(`heddle network-validator ${args.join(" ")} is refused`, async () => {
    const { code, err } = await runInProcess(["network-validator", ...args]);
    assert.equal(code, 2);
    assert.match(err, expected);
  });
}

test("heddle cni tells its roles apart", async () => {
  const unknown = await runInProcess(["cni", "dance"]);
  assert.deepEqual([unknown.code, /cni has no "dance"/.test(unknown.err)], [2, true]);
  const repair = await runInProcess(["cni", "repair"]);
  assert.deepEqual([repair.code, /--node-name and/.test(repair.err)], [2, true]);
  const install = await runInProcess(["cni", "install"]);
  assert.deepEqual([install.code, /CNI_NETWORK_CONFIG is not set/.test(install.err)], [64, true]);
  const stray = await runInProcess(["cni"], { CNI_COMMAND: "" });
  assert.equal(stray.code, 1);
  assert.equal(JSON.parse(stray.out).code, 4);
});
