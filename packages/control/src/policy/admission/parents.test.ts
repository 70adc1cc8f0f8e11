import assert from "node:assert/strict";
import { test } from "node:test";
import { parentsProblem, streamRouteProblem } from "./parents.ts";

const EGRESS = { group: "policy.linkerd.io", kind: "EgressNetwork" };
const SERVICE = { group: "core", kind: "Service" };

test("an EgressNetwork as parent needs a port, a Service does not", () => {
  assert.equal(parentsProblem({}), undefined);
  assert.equal(parentsProblem({ parentRefs: [SERVICE, { ...EGRESS, port: 443 }] }), undefined);
  assert.match(
    parentsProblem({ parentRefs: [SERVICE, EGRESS] })!,
    /^spec\.parentRefs\[1\]\.port: /,
  );
});

test("a TLSRoute or TCPRoute has exactly one rule", () => {
  const parentRefs = [{ ...EGRESS, port: 443 }];
  assert.equal(streamRouteProblem({ parentRefs, rules: [{}] }), undefined);
  assert.match(streamRouteProblem({ parentRefs, rules: [{}, {}] })!, /^spec\.rules: has 2 rules/);
  assert.match(streamRouteProblem({ parentRefs })!, /^spec\.rules: has 0 rules/);
  assert.match(streamRouteProblem({ parentRefs: [EGRESS], rules: [{}] })!, /\.port: is missing/);
});
