import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { ENDPOINT_SLICES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { installDefinitions } from "./crds/install.ts";
import { createTrust, installTrust } from "./identity/bootstrap.ts";
import { startControl } from "./main.ts";
import { ControlHost, controlSettings } from "./testing/control-host.ts";
import { TestNamespace } from "./testing/objects.ts";
import { getEndpoints, getProfile } from "./testing/streams.ts";

test("without its API server the control plane goes on with what it knows, and catches up after", async () => {
  const store = await ApiStore.start();
  await using host = await ControlHost.start(store);
  const client = await host.client("destination");
  const ns = await TestNamespace.create(host.kube, "shop");
  await ns.pod({ name: "a", ips: ["10.1.0.1"] });
  await ns.pod({ name: "b", ips: ["10.1.0.2"] });
  const service = await ns.service("web", { ports: [{ name: "http", port: 80 }] });
  const slice = await ns.slice("web", "web-a", [ns.target("Pod", "a", "10.1.0.1")]);
  const path = "web.shop.svc.cluster.local:80";
  // Either the Service is known already, or this stream ends as soon as it is.
  await using known = getProfile({ client, path: `${service.spec?.clusterIP}:80` });
  if ((await known.next())?.fullyQualifiedName === "") await known.next();
  await using stream = getEndpoints({ client, path });
  assert.deepEqual(
    (await stream.next())?.add?.map(({ at }) => at),
    ["10.1.0.1:8080"],
  );

  await store.stop();
  await using during = getEndpoints({ client, path });
  assert.deepEqual(
    (await during.next())?.add?.map(({ at }) => at),
    ["10.1.0.1:8080"],
  );

  await store.restart();
  const endpoints = [ns.target("Pod", "a", "10.1.0.1"), ns.target("Pod", "b", "10.1.0.2")];
  await host.kube.update(ENDPOINT_SLICES, { ...slice, endpoints });
  // The one that is new, and not again the one that was there.
  for (const one of [stream, during]) {
    assert.deepEqual(
      (await one.next())?.add?.map(({ at }) => at),
      ["10.1.0.2:8080"],
    );
  }
});

test("a control plane that starts while its API server is away is ready when that is back", async () => {
  await using store = await ApiStore.start();
  await installDefinitions(store.client);
  const names = { controlNamespace: "linkerd", trustDomain: "cluster.local" };
  await installTrust(store.client, "linkerd", await createTrust({ ...names, clock: systemClock }));
  using client = store.controlClient();
  await store.stop();
  const settings = controlSettings();
  const log = Log.silent();
  await using control = await startControl({ settings, client, log, clock: systemClock });
  assert.match(control.problem() ?? "", /no issuer/);
  await store.restart();
  await control.ready;
  assert.equal(control.problem(), undefined);
});
