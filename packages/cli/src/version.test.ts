import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { CONFIG_MAPS, NAMESPACES, PODS, type Pod, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { runInProcess } from "./testing/run.ts";

test("version tells what nobody answers for, and exits with 0 all the same", async () => {
  const nobody = { HOME: "/nonexistent" };
  const client = "Client version: 0.1.0";
  assert.deepEqual(await runInProcess(["version", "--client"], nobody), {
    ...{ code: 0, out: client, err: "" },
  });
  const all = await runInProcess(["version", "--proxy"], nobody);
  assert.deepEqual(all.out.split("\n"), [
    client,
    "Server version: unavailable",
    "Proxy versions: unavailable",
  ]);
  assert.equal(all.code, 0);
  const short = await runInProcess(["version", "--short", "--proxy"], nobody);
  assert.equal(short.out, "0.1.0\nunavailable\nunavailable");
});

test("version tells the control plane's version, and how many proxies have which", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  for (const name of ["mesh", "shop", "other"]) {
    await client.create(NAMESPACES, { metadata: { name } });
    await client.create(SERVICE_ACCOUNTS, { metadata: { name: "own", namespace: name } });
  }
  await client.create(CONFIG_MAPS, {
    metadata: { name: "linkerd-config", namespace: "mesh" },
    data: { values: "linkerdVersion: edge-26.6.3\n" },
  });
  const pod = async (namespace: string, name: string, image: string, isNative = false) => {
    const proxy = { name: "linkerd-proxy", image };
    const app = { name: "app", image: "app" };
    await client.create(PODS, {
      metadata: {
        ...{ name, namespace },
        labels: { "linkerd.io/control-plane-ns": "mesh" },
        annotations: { "linkerd.io/proxy-version": "noted" },
      },
      spec: {
        serviceAccountName: "own",
        ...(isNative
          ? { initContainers: [{ ...proxy, restartPolicy: "Always" }], containers: [app] }
          : { containers: [app, proxy] }),
      },
    } as Pod);
  };
  await pod("shop", "a", "my.own:5000/proxy:edge-26.6.3");
  await pod("shop", "b", "cr.l5d.io/linkerd/proxy:edge-26.6.3", true);
  await pod("other", "c", "cr.l5d.io/linkerd/proxy:edge-26.8.3");
  await pod("other", "d", `cr.l5d.io/linkerd/proxy@sha256:${"0".repeat(64)}`);

  const kubeconfig = join(store.folder, "admin.kubeconfig");
  const run = (...args: readonly string[]) =>
    runInProcess(["version", "--kubeconfig", kubeconfig, "-L", "mesh", ...args]);
  assert.deepEqual((await run("--proxy")).out.split("\n"), [
    "Client version: 0.1.0",
    "Server version: edge-26.6.3",
    "Proxy versions:",
    "\tedge-26.6.3 (2 pods)",
    "\tedge-26.8.3 (1 pods)",
    "\tnoted (1 pods)",
  ]);
  const short = await run("--proxy", "--short", "-n", "shop");
  assert.equal(short.out, "0.1.0\nedge-26.6.3\nedge-26.6.3");
});
