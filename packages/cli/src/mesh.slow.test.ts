import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { NETWORK_AUTHENTICATIONS, SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import { startMesh } from "./mesh.ts";

const IP = "127.79.8.1";

test("a mesh on one machine refuses bad policies and profiles, also when it starts again", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "heddle-mesh-"));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rmSync(dataDir, { recursive: true, force: true }));
  for (let start = 0; start < 2; start++) {
    await using mesh = await startMesh({
      dataDir,
      apiserverIp: IP,
      controlIp: IP,
      loopbackMesh: "127.79.0.0/16",
      clock: systemClock,
      log: Log.silent(),
      onLine: () => {},
      stop: AbortSignal.timeout(120_000),
    });
    const metadata = { name: "bad", namespace: "default" };
    const networks = [{ cidr: "10.0.0.0/8", except: ["11.0.0.0/8"] }];
    await assert.rejects(
      mesh.client.create(NETWORK_AUTHENTICATIONS, { metadata, spec: { networks } }),
      /"linkerd-policy-validator\.linkerd\.io" denied the request: spec\.networks\[0\]/,
    );
    const routes = [{ name: "r", condition: {} }];
    await assert.rejects(
      mesh.client.create(SERVICE_PROFILES, { metadata, spec: { routes } }),
      /"linkerd-sp-validator\.linkerd\.io" denied the request: spec\.routes\[0\]/,
    );
  }
});
