import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { applyPatch } from "./json-patch.ts";
import type { Pod } from "./pod.ts";
import { type PodInjection, patchPod } from "./pod-patch.ts";
import { type EnvVar, readValues } from "./values.ts";

const IS_UPDATE = process.env["HEDDLE_UPDATE_GOLDENS"] === "1";
const VALUES = readValues("identityTrustAnchorsPEM: ANCHORS\n", "test");

const POD: Pod = {
  metadata: { name: "web", namespace: "shop", labels: { app: "web" } },
  spec: {
    containers: [
      {
        name: "web",
        image: "web:1",
        ports: [{ containerPort: 8080, name: "http" }, { containerPort: 3306 }],
        readinessProbe: { httpGet: { port: 9000 } },
      },
    ],
    initContainers: [{ name: "migrate", image: "web:1" }],
  },
};

interface Change {
  readonly pod?: Readonly<Record<string, string>>;
  readonly namespace?: Readonly<Record<string, string>>;
  readonly values?: string;
}

function injection({ pod = {}, namespace = {}, values = "" }: Change): PodInjection {
  return {
    pod: { ...POD, metadata: { ...POD.metadata, annotations: pod } },
    prefix: "",
    namespace: "shop",
    namespaceAnnotations: { "linkerd.io/inject": "enabled", ...namespace },
    owner: { kind: "deployment", name: "web" },
    values: readValues(`identityTrustAnchorsPEM: ANCHORS\n${values}`, "test"),
    controlNamespace: "linkerd",
    createdBy: "linkerd/proxy-injector test",
  };
}

interface Injected {
  readonly metadata: {
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly InjectedContainer[];
    readonly initContainers: readonly InjectedContainer[];
  };
}

interface InjectedContainer {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly resources?: unknown;
}

/** The pod as it runs. */
function injected(change: Change): Injected {
  const request = injection(change);
  return applyPatch(request.pod, patchPod(request).patch) as unknown as Injected;
}

function proxyOf({ spec }: Injected): InjectedContainer {
  return [...spec.initContainers, ...spec.containers].find(({ name }) => name === "linkerd-proxy")!;
}

function variable(change: Change, name: string): string | undefined {
  const found = proxyOf(injected(change)).env!.find((entry) => entry.name === name);
  return found?.value;
}

const GOLDENS: Readonly<Record<string, Change>> = {
  native: {},
  classic: { pod: { "config.linkerd.io/proxy-enable-native-sidecar": "false" } },
  "classic-no-await": {
    pod: {
      "config.linkerd.io/proxy-enable-native-sidecar": "false",
      "config.linkerd.io/proxy-await": "disabled",
      "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "30",
    },
  },
  cni: { values: "cniEnabled: true" },
  debug: { pod: { "config.linkerd.io/enable-debug-sidecar": "true" } },
  ipv6: { values: "disableIPv6: false" },
  tracing: {
    values:
      "proxy: {tracing: {enabled: true, collector: {endpoint: 'otel.:4317', meshIdentity: {serviceAccountName: otel, namespace: obs}}}}",
  },
  root: {
    pod: { "config.linkerd.io/close-wait-timeout": "1m" },
    values: "proxyInit: {runAsRoot: true, iptablesMode: legacy}",
  },
};

for (const [name, change] of Object.entries(GOLDENS)) {
  test(`[IJ09] the patch of a pod is the golden one: ${name}`, () => {
    const text = `${JSON.stringify(patchPod(injection(change)), null, 2)}\n`;
    const file = new URL(`testdata/${name}.golden.json`, import.meta.url);
    if (IS_UPDATE) writeFileSync(file, text);
    assert.ok(existsSync(file), "run with HEDDLE_UPDATE_GOLDENS=1 and look at what it writes");
    assert.deepEqual(JSON.parse(text), JSON.parse(readFileSync(file, "utf8")));
  });
}

test("[IJ01] a pod without annotations gets init, then proxy, then its own init containers", () => {
  const pod = injected({});
  const names = (containers: readonly InjectedContainer[]) => containers.map(({ name }) => name);
  assert.deepEqual(names(pod.spec.initContainers), ["linkerd-init", "linkerd-proxy", "migrate"]);
  assert.deepEqual(names(pod.spec.containers), ["web"]);
  assert.equal(pod.metadata.labels["linkerd.io/proxy-deployment"], "web");
  assert.equal(pod.metadata.labels["app"], "web");
  assert.equal(pod.metadata.annotations["linkerd.io/inject"], "enabled");
});

test("[IJ04] [IJ05] a debug container comes where asked for, of its own version", () => {
  const asked = { "config.linkerd.io/enable-debug-sidecar": "true" };
  const debug = (pod: Readonly<Record<string, string>>) =>
    injected({ pod }).spec.containers.find(({ name }) => name === "linkerd-debug")?.image;
  assert.equal(debug({}), undefined);
  assert.equal(debug(asked), "heddle/debug:test");
  const versioned = { ...asked, "config.linkerd.io/debug-image-version": "v9" };
  assert.equal(debug(versioned), "heddle/debug:v9");
});

test("[IJ06] [IJ08] a log level is taken from the pod, else from the namespace", () => {
  const key = "config.linkerd.io/proxy-log-level";
  const log = (change: Change) => variable(change, "LINKERD2_PROXY_LOG");
  assert.match(log({ namespace: { [key]: "debug" } })!, /^debug,/);
  assert.match(log({ pod: { [key]: "trace" }, namespace: { [key]: "debug" } })!, /^trace,/);
  assert.equal(injected({ namespace: { [key]: "debug" } }).metadata.annotations[key], "debug");
  const notInherited = "config.linkerd.io/enable-gateway";
  const pod = injected({ namespace: { [notInherited]: "true" } });
  assert.equal(pod.metadata.annotations[notInherited], undefined);
});

test("[IJ07] [IJ25] cores are whole, rounded up; a share is a share, and nothing from 1 on", () => {
  const limit = { "config.linkerd.io/proxy-cpu-limit": "1100m" };
  assert.equal(variable({ pod: limit }, "LINKERD2_PROXY_CORES_MAX"), "2");
  const request = { "config.linkerd.io/proxy-cpu-request": "2" };
  assert.equal(variable({ pod: request }, "LINKERD2_PROXY_CORES_MIN"), "2");
  assert.deepEqual(proxyOf(injected({ pod: { ...limit, ...request } })).resources, {
    limits: { cpu: "1100m" },
    requests: { cpu: "2" },
  });
  const share = (text: string) =>
    variable(
      { pod: { "config.linkerd.io/proxy-cpu-ratio-limit": text } },
      "LINKERD2_PROXY_CORES_MAX_RATIO",
    );
  assert.equal(share("0.3"), "0.3");
  assert.equal(share("1"), undefined);
});

test("[IJ22] [IJ23] labels for tracing are set up only where tracing is", () => {
  const name = "LINKERD2_PROXY_TRACE_EXTRA_ATTRIBUTES";
  const pod = { "resource.opentelemetry.io/team": "blue" };
  assert.equal(variable({ pod }, name), undefined);
  const found = variable({ ...GOLDENS["tracing"], pod }, name);
  assert.equal(
    found,
    "k8s.container.name=$(_pod_containerName)\nk8s.pod.ip=$(_pod_ip)\nk8s.pod.uid=$(_pod_uid)\nteam=blue\n",
  );
  assert.throws(() => injected({ values: "proxy: {tracing: {enabled: true}}" }), /collector lacks/);
});

test("[IJ24] additional variables merge by name over chart, namespace and pod", () => {
  const key = "config.linkerd.io/proxy-additional-env";
  const list = (...entries: readonly string[]) =>
    JSON.stringify(
      entries.map((entry) => ({ name: entry.split("=")[0], value: entry.split("=")[1] })),
    );
  const pod = injected({
    values: "proxy: {additionalEnv: [{name: A, value: chart}, {name: B, value: chart}]}",
    namespace: { [key]: list("B=namespace", "C=namespace") },
    pod: { [key]: list("C=pod", "D=pod") },
  });
  const last = proxyOf(pod)
    .env!.slice(-4)
    .map(({ name, value }) => `${name}=${value}`);
  assert.deepEqual(last, ["A=chart", "B=namespace", "C=pod", "D=pod"]);
});

test("an opaque port is written down where the pod declares a default one, and names are resolved", () => {
  const key = "config.linkerd.io/opaque-ports";
  assert.equal(injected({}).metadata.annotations[key], "3306");
  const ports = variable(
    { pod: { [key]: "http, 10-20,nonsense" } },
    "LINKERD2_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION",
  );
  assert.equal(ports, "8080,10-20");
});

test("a network that is no CIDR, and a close-wait timeout without root, fail the injection", () => {
  assert.throws(() => injected({ values: "clusterNetworks: 10.0.0.0/8,ten" }), /"ten".*no CIDR/);
  const pod = { "config.linkerd.io/close-wait-timeout": "1m" };
  assert.throws(() => injected({ pod }), /needs proxyInit.runAsRoot/);
});

test("values of the wrong type are refused by their path", () => {
  assert.throws(() => readValues("proxy: {ports: {admin: many}}", "test"), /proxy\.ports\.admin/);
  assert.throws(() => readValues("[", "test"), /not YAML/);
  assert.equal(VALUES.identityTrustAnchorsPEM, "ANCHORS");
});
