import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { leaveMesh } from "./leave.ts";
import { type Membership, StateFolder } from "./state.ts";

const PARTS = {
  namespace: "shop",
  name: "vm",
  network: "default",
  spiffeId: "spiffe://mesh.test/ns/shop/external/vm",
  serverName: "vm.shop.external.mesh.test",
  ports: [],
  ip: "127.79.5.2",
  mode: "rootless",
  listeners: [],
  allowBypass: false,
} as const;

test("leaveMesh() leaves with a damaged identity too, and says that nobody was told", async () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-leave-"));
  try {
    const state = new StateFolder(join(folder, "vm"));
    state.prepare();
    state.writeKey("damaged");
    state.writeSvid("damaged");
    const expansion = { addresses: ["127.79.5.1:1"], serverName: "expansion.test" };
    const mesh = { loopbackMesh: "" } as Membership["mesh"];
    state.write({ ...PARTS, mesh, expansion });
    const { deregistered } = await leaveMesh(state);
    assert.notEqual(deregistered, true);
    assert.equal(state.exists, false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
