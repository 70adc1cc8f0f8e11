import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import {
  addAnswer,
  checkNetwork,
  errorAnswer,
  parseCall,
  versionAnswer,
  versionOf,
} from "./protocol.ts";

const ADD = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "abc123",
  CNI_NETNS: "/run/netns/x",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/opt/cni/bin",
};

function parse(env: Readonly<Record<string, string>>): ReturnType<typeof parseCall> {
  return parseCall((name) => env[name]);
}

test("parseCall() reads what a runtime says", () => {
  const CNI_ARGS =
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=pod;K8S_POD_INFRA_CONTAINER_ID=a=b";
  const { args, ...rest } = parse({ ...ADD, CNI_ARGS });
  assert.deepEqual(rest, { command: "ADD", containerId: "abc123", netns: "/run/netns/x" });
  assert.equal(args.get("K8S_POD_NAMESPACE"), "ns");
  assert.equal(args.get("K8S_POD_NAME"), "pod");
});

for (const [change, expected] of [
  [{ CNI_COMMAND: "" }, /CNI_COMMAND is missing/],
  [{ CNI_COMMAND: "JUMP" }, /unknown CNI_COMMAND: JUMP/],
  [{ CNI_COMMAND: "toString" }, /unknown CNI_COMMAND/],
  [{ CNI_NETNS: "", CNI_PATH: "" }, /required env variables \[CNI_NETNS,CNI_PATH\] missing/],
  [{ CNI_CONTAINERID: "../x" }, /invalid characters in containerID/],
  [{ CNI_IFNAME: "a/b" }, /invalid CNI_IFNAME/],
  [{ CNI_IFNAME: "sixteen-letters-" }, /invalid CNI_IFNAME/],
  [{ CNI_ARGS: "nonsense" }, /CNI_ARGS: invalid pair "nonsense"/],
  [{ CNI_ARGS: "FOO=1" }, /CNI_ARGS: unknown args \[FOO\]/],
] as const) {
  test(`parseCall() refuses ${JSON.stringify(change)}`, () => {
    assert.throws(
      () => parse({ ...ADD, ...change }),
      (error) =>
        error instanceof MeshError && error.code === "cni_env" && expected.test(error.message),
    );
  });
}

test("parseCall() wants less for other commands", () => {
  assert.equal(parse({ CNI_COMMAND: "VERSION" }).command, "VERSION");
  assert.equal(parse({ CNI_COMMAND: "STATUS", CNI_PATH: "/x" }).command, "STATUS");
  const { CNI_NETNS: _, ...del } = { ...ADD, CNI_COMMAND: "DEL" };
  assert.equal(parse(del).netns, "");
});

test("checkNetwork() takes the versions from 0.1.0 to 1.1.0, and named networks", () => {
  for (const cniVersion of ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    checkNetwork({ cniVersion, name: "k8s-pod-network" });
  }
  assert.throws(() => checkNetwork({ cniVersion: "2.0.0", name: "x" }), { code: "cni_version" });
  assert.throws(() => checkNetwork({ cniVersion: "1.0.0" }), { code: "cni_config" });
  assert.throws(() => checkNetwork({ cniVersion: "1.0.0", name: "a/b" }), { code: "cni_config" });
  assert.throws(() => checkNetwork(null), { code: "cni_config" });
});

test("addAnswer() passes on what plugins before it said, whatever that is", () => {
  const previous = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.5/16" }], sandbox: 7 };
  assert.deepEqual(addAnswer("1.0.0", previous), previous);
  assert.deepEqual(addAnswer("0.4.0", undefined), { cniVersion: "0.4.0", dns: {} });
});

test("versionAnswer() lists what we speak", () => {
  const supportedVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
  assert.deepEqual(versionAnswer({ cniVersion: "1.0.0" }), {
    cniVersion: "1.0.0",
    supportedVersions,
  });
  assert.deepEqual(versionAnswer(null), { cniVersion: "1.1.0", supportedVersions });
  assert.equal(versionOf({}), "0.1.0");
});

test("errorAnswer() has the specification's form and codes", () => {
  const cause = new Error("the reason");
  const error = new MeshError("cni_decode", "client", "Cannot read it", { cause });
  assert.deepEqual(errorAnswer("0.4.0", error), {
    cniVersion: "0.4.0",
    code: 6,
    msg: "linkerd-cni: Cannot read it",
    details: "the reason",
  });
  const late = new MeshError("kube_unreachable", "control", "Cannot get pods a/b");
  assert.deepEqual(errorAnswer("9.9.9", late), {
    cniVersion: "1.1.0",
    code: 11,
    msg: "linkerd-cni: Cannot get pods a/b",
  });
});
