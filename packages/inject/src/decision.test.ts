import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, hasSidecar, type Origin } from "./decision.ts";
import { opaquePortsPatch, podOpaquePorts, serviceOpaquePorts } from "./opaque-ports.ts";
import { checkPod, type Pod, type PodSpec } from "./pod.ts";
import { parsePortRanges } from "./port-list.ts";
import { defaultValues, readValues } from "./values.ts";

const VALUES = defaultValues("test");
const OPAQUE = "config.linkerd.io/opaque-ports";
const inject = (value: string) => ({ "linkerd.io/inject": value });

function podOf(annotations: Readonly<Record<string, string>>, spec: PodSpec = {}): Pod {
  return { metadata: { annotations }, spec: { containers: [{ name: "web" }], ...spec } };
}

function reasonsOf(pod: string, namespace: string, origin: Origin = "webhook"): string {
  return decide(podOf(inject(pod)), inject(namespace), VALUES, origin).reasons.join();
}

test("[IJ02] [IJ03] [IJ26] [IJ27] what the webhook injects is a table", () => {
  const absent = "injection_enable_annotation_absent";
  const refused = "injection_disable_annotation_present";
  const atWorkload = "invalid_inject_annotation_at_workload";
  const atNamespace = "invalid_inject_annotation_at_ns";
  const table: readonly (readonly [string, string, string])[] = [
    ["", "enabled", ""],
    ["", "ingress", ""],
    ["enabled", "enabled", ""],
    ["ingress", "enabled", ""],
    ["disabled", "enabled", refused],
    ["disabled", "ingress", refused],
    ["", "", absent],
    ["", "disabled", absent],
    ["disabled", "", absent],
    ["enabled", "", ""],
    ["enabled", "disabled", ""],
    ["ingress", "", ""],
    ["yes", "enabled", atWorkload],
    ["enabled", "yes", atNamespace],
  ];
  for (const [pod, namespace, reasons] of table) {
    assert.equal(reasonsOf(pod, namespace), reasons, `pod "${pod}", namespace "${namespace}"`);
  }
});

test("[IJ28] the command line heeds only a pod's refusal", () => {
  assert.equal(reasonsOf("disabled", "enabled", "cli"), "injection_disable_annotation_present");
  for (const pod of ["", "enabled", "yes"]) assert.equal(reasonsOf(pod, "yes", "cli"), "");
});

test("[IJ10] [IJ29] sidecars are recognised by name and image, native ones too", () => {
  const image = "cr.l5d.io/linkerd/proxy:v1";
  assert.equal(hasSidecar(podOf({})), false);
  for (const container of [
    { name: "linkerd-proxy" },
    { name: "istio-proxy" },
    { name: "x", image },
    { name: "x", image: "heddle/proxy:v1" },
  ]) {
    assert.ok(hasSidecar(podOf({}, { containers: [container] })), container.name);
    assert.ok(hasSidecar(podOf({}, { initContainers: [container] })), container.name);
  }
  assert.ok(hasSidecar(podOf({}, { initContainers: [{ name: "linkerd-init" }] })));
  assert.equal(hasSidecar(podOf({}, { containers: [{ name: "linkerd-init" }] })), false);
});

test("all reasons are told, in their order", () => {
  const values = readValues("identity: {serviceAccountTokenProjection: false}", "test");
  const pod = podOf({}, { hostNetwork: true, containers: [{ name: "linkerd-proxy" }] });
  assert.deepEqual(decide(pod, {}, values, "webhook").reasons, [
    "host_network_enabled",
    "sidecar_already_exists",
    "injection_enable_annotation_absent",
    "disabled_automount_service_account_token_account",
  ]);
  assert.deepEqual(decide(undefined, inject("enabled"), VALUES, "webhook").reasons, [
    "unsupported_resource",
  ]);
});

interface OpaqueCase {
  readonly own?: string;
  readonly namespace?: string;
  readonly expected: string | undefined;
}

function opaqueOf({ own, namespace }: OpaqueCase, defaults: readonly string[]): unknown {
  const meta = { annotations: own === undefined ? {} : { [OPAQUE]: own } };
  const patch = opaquePortsPatch(
    meta,
    namespace === undefined ? {} : { [OPAQUE]: namespace },
    defaults,
  );
  return patch.at(-1)?.value;
}

const SERVICE = {
  spec: {
    ports: [{ port: 3306 }, { port: 80, targetPort: 5432 }, { port: 25, targetPort: "smtp" }],
  },
};
const POD = podOf(
  {},
  { containers: [{ name: "db", ports: [{ containerPort: 3306 }, { containerPort: 80 }] }] },
);

const OPAQUE_CASES: readonly (readonly [string, string, OpaqueCase])[] = [
  ["IJ11", "IJ15", { namespace: "1000", expected: "1000" }],
  ["IJ12", "IJ16", { own: "2000", namespace: "1000", expected: undefined }],
  ["IJ13", "IJ17", { own: "2000", expected: undefined }],
];

for (const [service, pod, opaque] of OPAQUE_CASES) {
  test(`[${service}] [${pod}] opaque ports of ${JSON.stringify(opaque)}`, () => {
    assert.equal(opaqueOf(opaque, serviceOpaquePorts(SERVICE, VALUES)), opaque.expected);
    assert.equal(opaqueOf(opaque, podOpaquePorts(POD, VALUES)), opaque.expected);
  });
}

test("[IJ14] [IJ19] a Service's default opaque ports are those whose targets are", () => {
  assert.equal(opaqueOf({ expected: "" }, serviceOpaquePorts(SERVICE, VALUES)), "3306,80");
  const plain = { spec: { ports: [{ port: 80 }] } };
  assert.deepEqual(opaquePortsPatch({}, {}, serviceOpaquePorts(plain, VALUES)), []);
});

test("[IJ18] [IJ20] a pod's default opaque ports are those that it declares", () => {
  assert.deepEqual(opaquePortsPatch({}, {}, podOpaquePorts(POD, VALUES)), [
    { op: "add", path: "/metadata/annotations", value: {} },
    { op: "add", path: "/metadata/annotations/config.linkerd.io~1opaque-ports", value: "3306" },
  ]);
  assert.deepEqual(opaquePortsPatch({}, {}, podOpaquePorts(podOf({}), VALUES)), []);
});

test("[HC41] ranges of ports are read, and refused with the cause", () => {
  assert.deepEqual(parsePortRanges("0,25,30-40"), [
    { first: 0, last: 0 },
    { first: 25, last: 25 },
    { first: 30, last: 40 },
  ]);
  assert.deepEqual(parsePortRanges(""), []);
  assert.throws(() => parsePortRanges("65536"), /from 0 to 65535/);
  assert.throws(() => parsePortRanges("9-8"), /ends before it begins/);
  assert.throws(() => parsePortRanges("80,http"), /"http" is neither/);
});

test("what is no pod is refused by its path, and prototype names are only keys", () => {
  const bad = (pod: unknown) => () => checkPod(pod);
  assert.throws(bad({ spec: { containers: [{ name: 1 }] } }), /pod\.spec\.containers\[0\]\.name/);
  assert.throws(bad({ spec: { containers: {} } }), /containers: it is not a list/);
  assert.throws(bad({ metadata: { annotations: { a: 1 } } }), /annotations\.a: it is not text/);
  const hostile = JSON.parse('{"metadata":{"annotations":{"__proto__":"x","constructor":"y"}}}');
  assert.deepEqual(decide(checkPod(hostile), {}, VALUES, "webhook").reasons, [
    "injection_enable_annotation_absent",
  ]);
});
