import assert from "node:assert/strict";
import { test } from "node:test";
import { machineOf } from "./machines.ts";

test("machineOf() reads a machine's own id, and nothing that only looks like it", () => {
  const of = (id: string): unknown => machineOf(id, "cluster.local");
  assert.deepEqual(of("spiffe://cluster.local/ns/shop/external/vm-1"), {
    namespace: "shop",
    name: "vm-1",
  });
  for (const id of [
    "spiffe://other.local/ns/shop/external/vm-1",
    "spiffe://cluster.local/ns/shop/sa/vm-1",
    "spiffe://cluster.local/ns/shop/external/vm-1/x",
    "spiffe://cluster.local/ns/../external/vm-1",
    "vm-1.shop.serviceaccount.identity.linkerd.cluster.local",
    "",
  ]) {
    assert.equal(of(id), undefined, id);
  }
});
