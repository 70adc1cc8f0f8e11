import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePlugin, withoutPlugin, withPlugin } from "./conf-list.ts";

const OURS = { name: "linkerd-cni", type: "linkerd-cni", linkerd: { "proxy-uid": 2102 } };
const BRIDGE = { type: "bridge", bridge: "cni0" };
const PORTMAP = { type: "portmap" };

function list(...plugins: readonly object[]): string {
  return JSON.stringify({ cniVersion: "1.0.0", name: "net", disableCheck: true, plugins });
}

test("withPlugin() appends to a list, whose other fields stay", () => {
  const text = withPlugin(list(BRIDGE, PORTMAP), OURS);
  assert.deepEqual(JSON.parse(text!), JSON.parse(list(BRIDGE, PORTMAP, OURS)));
});

test("withPlugin() makes a list of a single plugin", () => {
  const single = JSON.stringify({ cniVersion: "0.4.0", name: "calico", ...BRIDGE });
  assert.deepEqual(JSON.parse(withPlugin(single, OURS)!), {
    name: "k8s-pod-network",
    cniVersion: "0.3.1",
    plugins: [{ name: "calico", ...BRIDGE }, OURS],
  });
});

test("withPlugin() leaves alone what is so already, whatever its spaces", () => {
  assert.equal(
    withPlugin(JSON.stringify(JSON.parse(list(BRIDGE, OURS)), null, 8), OURS),
    undefined,
  );
});

test("withPlugin() replaces an older configuration of ours, and moves it to the end", () => {
  const older = { ...OURS, linkerd: {} };
  const text = withPlugin(list(older, BRIDGE, older), OURS);
  assert.deepEqual(JSON.parse(text!).plugins, [BRIDGE, OURS]);
});

test("withoutPlugin() takes ours out, and says if there is none", () => {
  assert.deepEqual(JSON.parse(withoutPlugin(list(OURS, BRIDGE))!), JSON.parse(list(BRIDGE)));
  assert.equal(withoutPlugin(list(BRIDGE)), undefined);
});

for (const text of ["", "{", "[]", "null", '{"name":"x"}', '{"plugins":[1]}']) {
  test(`withPlugin() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => withPlugin(text, OURS), SyntaxError);
    assert.throws(() => withoutPlugin(text), SyntaxError);
  });
}

test("parsePlugin() takes ours only", () => {
  assert.deepEqual(parsePlugin(JSON.stringify(OURS)), OURS);
  assert.throws(() => parsePlugin(JSON.stringify(BRIDGE)), /its type is not "linkerd-cni"/);
});
