import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace, Pod } from "@heddle/kube/types/core";
import { INIT_DEFAULTS, type InitOptions } from "../options.ts";
import { parseConfig } from "./config.ts";
import { apiServerPorts, isControlPlane, podOptions, whyNoRules } from "./pod-options.ts";

const NODE: InitOptions = {
  ...INIT_DEFAULTS,
  incomingProxyPort: 4143,
  outgoingProxyPort: 4140,
  proxyUid: 2102,
  inboundPortsToIgnore: ["4191", "4190"],
  outboundPortsToIgnore: ["25"],
  subnetsToIgnore: ["10.1.0.0/16"],
};

const annotated = (annotations: Readonly<Record<string, string>>): Pod & Namespace => ({
  metadata: {
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([name, value]) => [`config.linkerd.io/${name}`, value]),
    ),
  },
});
const PLAIN = annotated({});

function options(pod: Pod, namespace: Namespace, ports: readonly string[] = []): InitOptions {
  return podOptions(NODE, pod, namespace, ports);
}

test("podOptions() adds to skipped inbound ports, and replaces all else", () => {
  const pod = annotated({
    "skip-inbound-ports": "80,90-99",
    "skip-outbound-ports": "443",
    "skip-subnets": "10.2.0.0/16,10.3.0.0/16",
    "proxy-uid": "7",
    "proxy-gid": "8",
  });
  assert.deepEqual(options(pod, PLAIN), {
    ...NODE,
    inboundPortsToIgnore: ["4191", "4190", "80", "90-99"],
    outboundPortsToIgnore: ["443"],
    subnetsToIgnore: ["10.2.0.0/16", "10.3.0.0/16"],
    proxyUid: 7,
    proxyGid: 8,
  });
});

test("podOptions() takes a namespace's annotation where the pod has none", () => {
  const namespace = annotated({ "skip-outbound-ports": "1", "proxy-uid": "5" });
  const result = options(annotated({ "skip-outbound-ports": "2" }), namespace);
  assert.deepEqual(result.outboundPortsToIgnore, ["2"]);
  assert.equal(result.proxyUid, 5);
  assert.deepEqual(options(PLAIN, PLAIN), NODE);
});

test("podOptions() adds the API server's ports for the control plane", () => {
  const { outboundPortsToIgnore } = options(PLAIN, PLAIN, ["443", "6443"]);
  assert.deepEqual(outboundPortsToIgnore, ["25", "443", "6443"]);
  const labels = { "linkerd.io/control-plane-component": "identity" };
  assert.equal(isControlPlane({ metadata: { labels } }), true);
  assert.equal(isControlPlane(PLAIN), false);
});

test("podOptions() refuses a user that is no number", () => {
  assert.throws(() => options(annotated({ "proxy-uid": "root" }), PLAIN), {
    code: "cni_config",
    message: /proxy-uid: "root" is not a whole number/,
  });
});

test("apiServerPorts() are ports and the numbers that they lead to", () => {
  const ports = [
    { port: 443, targetPort: 6443 },
    { port: 8443, targetPort: "https" },
  ];
  assert.deepEqual(apiServerPorts({ metadata: {}, spec: { ports } }), ["443", "6443", "8443"]);
  assert.deepEqual(apiServerPorts({ metadata: {} }), []);
});

test("whyNoRules() leaves alone pods without a proxy, and those with an init container", () => {
  const pod = (containers: readonly string[], initContainers: readonly string[] = []): Pod => ({
    metadata: {},
    spec: {
      containers: containers.map((name) => ({ name })),
      initContainers: initContainers.map((name) => ({ name })),
    },
  });
  assert.equal(whyNoRules(pod(["app", "linkerd-proxy"])), undefined);
  assert.equal(whyNoRules(pod(["app"], ["linkerd-network-validator", "linkerd-proxy"])), undefined);
  assert.match(whyNoRules(pod(["app"]))!, /linkerd-proxy is not present/);
  assert.match(whyNoRules(pod(["linkerd-proxy"], ["linkerd-init"]))!, /linkerd-init .* present/);
  assert.match(whyNoRules({ metadata: {} })!, /not present/);
});

test("parseConfig() reads a node's configuration, and older ones as they were meant", () => {
  const {
    options: read,
    kubeconfig,
    logLevel,
  } = parseConfig({
    log_level: "debug",
    kubernetes: { kubeconfig: "/x" },
    linkerd: {
      "incoming-proxy-port": 4143,
      "ports-to-redirect": [80],
      "inbound-ports-to-ignore": ["4191"],
      "use-wait-flag": true,
    },
  });
  assert.deepEqual([kubeconfig, logLevel], ["/x", "debug"]);
  assert.deepEqual(read, {
    ...INIT_DEFAULTS,
    incomingProxyPort: 4143,
    portsToRedirect: [80],
    inboundPortsToIgnore: ["4191"],
    useWaitFlag: true,
    iptablesMode: "legacy",
    ipv6: false,
  });
});

for (const [linkerd, expected] of [
  [{ "proxy-uid": "2102" }, /proxy-uid is no whole number/],
  [{ "inbound-ports-to-ignore": [80] }, /inbound-ports-to-ignore is not the list/],
  [{ ipv6: "yes" }, /ipv6 is neither true nor false/],
  [{ "iptables-mode": "magic" }, /--iptables-mode "magic"/],
  [[], /linkerd is no object/],
] as const) {
  test(`parseConfig() refuses ${JSON.stringify(linkerd)}`, () => {
    assert.throws(() => parseConfig({ linkerd }), { message: expected });
  });
}
