import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { chartObjects } from "./helm/chart.ts";
import type { Values } from "./helm/set-values.ts";
import { runInProcess } from "./testing/run.ts";

interface Printed {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
}

const CONFIGURED: Values = {
  proxyUID: 1111,
  proxyGID: 2222,
  inboundProxyPort: 5143,
  outboundProxyPort: 5140,
  proxyControlPort: 5190,
  proxyAdminPort: 5191,
  ignoreInboundPorts: "4567,8000-8010",
  ignoreOutboundPorts: "25,443",
  portsToRedirect: "80,90",
  logLevel: "debug",
  destCNINetDir: "/etc/kubernetes/cni/net.d",
  destCNIBinDir: "/var/lib/cni/bin",
  priorityClassName: "system-node-critical",
  useWaitFlag: true,
  image: { name: "my.registry/cni-plugin", version: "v9" },
};

/** The same by flags. */
const FLAGS = [
  ...["--proxy-uid", "1111", "--proxy-gid", "2222", "--inbound-port", "5143"],
  ...["--outbound-port", "5140", "--control-port", "5190", "--admin-port", "5191"],
  ...["--skip-inbound-ports", "4567,8000-8010", "--skip-outbound-ports", "25,443"],
  ...["--redirect-ports", "80,90", "--cni-log-level", "debug", "--use-wait-flag"],
  ...["--dest-cni-net-dir", "/etc/kubernetes/cni/net.d", "--dest-cni-bin-dir", "/var/lib/cni/bin"],
  ...["--priority-class-name", "system-node-critical", "--registry", "my.registry"],
  ...["--cni-image", "cr.l5d.io/linkerd/cni-plugin", "--cni-image-version", "v9"],
];

const WHOLE = [
  ...["--set", "repairController.enabled=true,disableIPv6=false,iptablesMode=nftables"],
  ...["--set", "commonLabels.team=net,podLabels.tier=node,imagePullSecrets[0].name=key"],
  ...["--set", "resources.cpu.request=100m,resources.memory.limit=50Mi"],
  ...["--set", "repairController.resources.cpu.limit=1"],
  ...["--set", "destCNIBinDir=/etc/cni/net.d"],
];

function objects(text: string): Printed[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Printed);
}

async function print(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await runInProcess(["install-cni", ...args]);
  assert.equal(code, 0, err);
  return `${out}\n`;
}

/** As Helm renders it: without the namespace, and said to be made by Helm. */
function helm(values: Values): object[] {
  return chartObjects("heddle-cni", { namespace: "linkerd-cni", service: "Helm", values });
}

function asHelm(text: string): object[] {
  const made = text.replaceAll(/(linkerd\.io\/created-by: ).*/g, "$1MADE");
  return objects(made).filter(({ kind }) => kind !== "Namespace");
}

for (const [name, args, values] of [
  ["install-cni-default", [], {}],
  ["install-cni-configured", FLAGS, CONFIGURED],
  ["install-cni-whole", WHOLE, undefined],
] as const) {
  // HEDDLE_UPDATE_GOLDEN=1 writes what is printed now.
  test(`[HC30] install-cni prints ${name}.golden, as Helm does`, async () => {
    const out = await print(...args);
    const path = join(import.meta.dirname, "testdata", `${name}.golden`);
    if (process.env["HEDDLE_UPDATE_GOLDEN"] === "1") writeFileSync(path, out);
    assert.equal(out, readFileSync(path, "utf8"));
    if (values === undefined) return;
    const twin = JSON.stringify(helm(values)).replaceAll(/(created-by":")[^"]*/g, "$1MADE");
    assert.deepEqual(asHelm(out), JSON.parse(twin));
  });
}

test("install-cni prints a network configuration that its plugin reads", async () => {
  const { parsePlugin } = await import("@heddle/init/cni/conf-list");
  const { parseConfig } = await import("@heddle/init/cni/config");
  const config = objects(await print(...FLAGS)).find(({ kind }) => kind === "ConfigMap");
  const { options } = parseConfig(parsePlugin(config!.data!["cni_network_config"]!));
  assert.deepEqual(options.inboundPortsToIgnore, ["5191", "5190", "4567", "8000-8010"]);
  assert.deepEqual(options.outboundPortsToIgnore, ["25", "443"]);
  assert.deepEqual(options.portsToRedirect, [80, 90]);
  assert.deepEqual(
    [options.incomingProxyPort, options.outgoingProxyPort, options.proxyUid, options.proxyGid],
    [5143, 5140, 1111, 2222],
  );
  assert.deepEqual([options.useWaitFlag, options.iptablesMode, options.ipv6], [true, "nft", false]);
});

for (const [args, expected] of [
  [["--inbound-port", "0"], /inboundProxyPort is "0"; it must be a TCP port/],
  [["--skip-inbound-ports", "x"], /ignoreInboundPorts is wrong.*"x" is neither a port/],
  [["--set", "portsToRedirect=80-90"], /portsToRedirect is "80-90"; it takes no ranges/],
  [["--cni-log-level", "loud"], /logLevel is "loud"; it must be one of/],
  [["--dest-cni-bin-dir", "bin"], /destCNIBinDir is "bin"; it must be a whole path/],
  [["--set", "iptablesMode=magic"], /iptablesMode is "magic"/],
  [["--set", "enablePSP=true"], /enablePSP is "true"; it must be one of false/],
  [["--set", "proxyUid=1"], /the chart has no value proxyUid/],
  [["--registry", "a b"], /is not a valid registry/],
  [["--linkerd-version", "a b"], /is not a valid version/],
  [["--cni-namespace", "A"], /--cni-namespace/],
] as const) {
  test(`install-cni refuses ${args.join(" ")}`, async () => {
    const { code, out, err } = await runInProcess(["install-cni", ...args]);
    assert.notEqual(code, 0);
    assert.equal(out, "");
    assert.match(err, expected);
  });
}
