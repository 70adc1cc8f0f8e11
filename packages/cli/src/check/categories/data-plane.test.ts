import assert from "node:assert/strict";
import { test } from "node:test";
import { ENDPOINT_SLICES, SERVICES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { CHECKED_PODS, type CheckedPod } from "../resources.ts";
import { MeshWorld, type PodOverrides, readyStatus } from "../testing/mesh-world.ts";

async function startWorld(): Promise<MeshWorld> {
  const world = await MeshWorld.start(await ApiStore.start(), await TestCa.root());
  await world.namespace("shop");
  return world;
}

const ANCHORS = "data plane proxies certificate match CA";

test("[HC16] check names proxies with other anchors, native sidecars and containers alike", async () => {
  await using world = await startWorld();
  const { anchorsPem } = world.trust;
  await world.putPod("shop", "good", { anchors: `\n${anchorsPem}\n` });
  const { of: before } = await world.check("--proxy", "-n", "shop");
  assert.equal(before(ANCHORS)?.result, "success");
  await world.putPod("shop", "old", { anchors: "-----BEGIN" });
  await world.put(CHECKED_PODS, {
    metadata: {
      name: "older",
      namespace: "shop",
      labels: { "linkerd.io/control-plane-ns": "linkerd" },
    },
    spec: { containers: [{ name: "linkerd-proxy", image: "proxy:edge-1" }] },
    status: readyStatus("10.1.2.3"),
  });
  const { of } = await world.check("--proxy");
  assert.equal(of(ANCHORS)?.result, "warning");
  assert.match(of(ANCHORS)?.error ?? "", /:\n\t\* shop\/old\n\t\* shop\/older$/);
});

test("[HC16] the control plane's proxies must have the anchors too, if they do not follow the ConfigMap", async () => {
  await using world = await startWorld();
  await world.putPod("linkerd", "linkerd-destination-1-2", { anchors: "-----BEGIN" });
  const { of, code } = await world.check();
  assert.equal(code, 1);
  const healthy = of("control plane proxies are healthy");
  assert.match(healthy?.error ?? "", /:\n\t\* linkerd\/linkerd-destination-1-2$/);
});

const EXISTS = "data plane namespace exists";
const PROXIES = "data plane proxies are ready";

test("[HC17] check knows whether the data plane's namespace exists, if it is given one", async () => {
  await using world = await startWorld();
  const missing = await world.check("--proxy", "-n", "nowhere");
  assert.equal(missing.code, 1);
  assert.equal(missing.of(EXISTS)?.error, 'the namespace "nowhere" is missing');
  assert.equal(missing.of(PROXIES), undefined);
  assert.equal((await world.check("--proxy")).of(EXISTS)?.result, "success");
});

/** A status of one container, `app`, in a pod whose proxy is as `proxy` says. */
function status(
  phase: "Running" | "Failed" | "Succeeded" | "Pending",
  more: Partial<NonNullable<CheckedPod["status"]>> = {},
): PodOverrides {
  return { status: { phase, podIP: "10.1.2.3", ...more } };
}

const UNREADY = {
  initContainerStatuses: [
    { name: "linkerd-proxy", ready: false, started: true, state: { running: {} } },
  ],
};
const CRASHING = {
  ...readyStatus("10.1.2.3"),
  containerStatuses: [
    { name: "app", ready: false, state: { waiting: { reason: "CrashLoopBackOff" } } },
  ],
};
const COMPLETED = {
  initContainerStatuses: [
    { name: "linkerd-proxy", ready: false, started: true, state: { terminated: { exitCode: 0 } } },
  ],
  containerStatuses: [
    { name: "app", ready: false, state: { terminated: { exitCode: 0, reason: "Completed" } } },
  ],
};
const STARTING = {
  initContainerStatuses: [
    {
      name: "linkerd-proxy",
      ready: false,
      started: false,
      state: { waiting: { reason: "ImagePullBackOff" } },
    },
  ],
};

test("[HC18] check tells the state of every meshed pod", async () => {
  await using world = await startWorld();
  const none = await world.check("--proxy", "-n", "shop");
  assert.equal(none.code, 1);
  assert.match(
    none.of(PROXIES)?.error ?? "",
    /no pod with a container "linkerd-proxy" is in .* shop/,
  );
  await world.putPod("shop", "ready");
  for (const [over, expected] of [
    [status("Failed", { reason: "Evicted" }), undefined],
    [status("Failed", { reason: "Shutdown" }), undefined],
    [status("Failed", { reason: "NodeShutdown" }), undefined],
    [status("Failed", { reason: "Terminated" }), undefined],
    [status("Succeeded"), undefined],
    [status("Succeeded", COMPLETED), undefined],
    [status("Running", readyStatus("10.1.2.3")), undefined],
    [status("Running", UNREADY), /container "linkerd-proxy" of pod "other" is not ready/],
    [status("Running", { initContainerStatuses: [] }), /container "linkerd-proxy" of pod "other"/],
    [status("Running", CRASHING), /pod "other" is not running: CrashLoopBackOff/],
    [status("Pending", STARTING), /pod "other" is not running: Init:ImagePullBackOff/],
    [status("Pending"), /pod "other" is not running: Pending/],
    [status("Failed"), /pod "other" is not running: Failed/],
  ] as const) {
    await world.putPod("shop", "other", over);
    const { of } = await world.check("--proxy", "-n", "shop");
    const found = of(PROXIES);
    if (expected === undefined) assert.equal(found?.error, undefined, JSON.stringify(over));
    else assert.match(found?.error ?? "", expected, JSON.stringify(over));
  }
});

test("[HC19] check finds labels of pods and services that should be annotations, and the reverse", async () => {
  await using world = await startWorld();
  const labels = { "linkerd.io/inject": "enabled", "config.linkerd.io/proxy-cpu-limit": "1" };
  const spec = { ports: [{ port: 80 }] };
  await world.putPod("shop", "good", { annotations: labels });
  const good = { name: "good", namespace: "shop", annotations: labels };
  await world.client.create(SERVICES, {
    metadata: { ...good, labels: { "mirror.linkerd.io/exported": "true" } },
    spec,
  });
  const before = await world.check("--proxy", "-n", "shop");
  assert.deepEqual(before.problems, []);

  await world.putPod("shop", "bad", { labels });
  const service = { name: "bad", namespace: "shop" };
  const alpha = { "config.alpha.linkerd.io/proxy-enable-native-sidecar": "true" };
  const annotations = { "mirror.linkerd.io/exported": "true" };
  await world.client.create(SERVICES, {
    metadata: { ...service, labels: alpha, annotations },
    spec,
  });
  const { of, code } = await world.check("--proxy", "-n", "shop");
  assert.equal(code, 0);
  const errorOf = (what: string): string | undefined => {
    const found = of(`data plane ${what} are configured correctly`);
    assert.equal(found?.result, "warning");
    return found.error?.slice(found.error.indexOf("\n"));
  };
  assert.equal(
    errorOf("pod labels"),
    "\n\t* bad config.linkerd.io/proxy-cpu-limit\n\t* bad linkerd.io/inject",
  );
  assert.equal(
    errorOf("service labels"),
    "\n\t* bad config.alpha.linkerd.io/proxy-enable-native-sidecar",
  );
  assert.equal(errorOf("service annotations"), "\n\t* bad mirror.linkerd.io/exported");
});

const VERSIONS = ["--proxy", "--expected-version", "edge-26.8.3"];

test("check lists proxies of old versions, and the first that is not the CLI's", async () => {
  await using world = await startWorld();
  await world.putPod("shop", "new", {
    annotations: { "linkerd.io/proxy-version": "edge-26.8.3" },
  });
  await world.putPod("shop", "done", status("Succeeded"));
  const { of } = await world.check(...VERSIONS, "-n", "shop");
  assert.equal(of("data plane is up-to-date")?.error, undefined);
  assert.equal(
    of("data plane and cli versions match")?.error,
    "new running edge-26.8.3 but cli running edge-26.6.3",
  );
  await world.putPod("shop", "old", { annotations: { "linkerd.io/proxy-version": "" } });
  const { error } = (await world.check(...VERSIONS, "-n", "shop")).of("data plane is up-to-date")!;
  assert.equal(error, "some proxies are not running the current version:\n\t* old (1)");
});

const OPAQUE = "opaque ports are properly annotated";
const OPAQUE_PORTS = "config.linkerd.io/opaque-ports";

test("a Service and the pods behind it must name the same ports opaque", async () => {
  await using world = await startWorld();
  const spec = {
    ports: [
      { name: "db", port: 3306, targetPort: 3307 },
      { name: "named", port: 90, targetPort: "metrics" },
    ],
  };
  const metadata = { name: "db", namespace: "shop" };
  await world.put(ENDPOINT_SLICES, {
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "db" } },
    addressType: "IPv4",
    endpoints: [
      {
        addresses: ["10.1.2.3"],
        targetRef: { kind: "Pod", name: "db-0", namespace: "shop" },
      },
    ],
    ports: [],
  });
  const ports = [{ containerPort: 3307 }, { name: "metrics", containerPort: 9090 }];
  for (const [ofService, ofPod, expected] of [
    ["", "", undefined],
    ["3306", "3307", undefined],
    ["3306,90", "3307, 9090", undefined],
    // Ports that lead nowhere are nobody's business.
    ["25", "4444", undefined],
    ["3306", "", /service shop\/db expects target port 3307 .* add it to pod shop\/db-0/],
    ["90", "", /service shop\/db expects target port 9090/],
    ["", "3307", /pod shop\/db-0 expects port 3307 .* add 3306 to service shop\/db/],
    ["", "9090", /pod shop\/db-0 expects port 9090 .* add 90 to service/],
    ["3306-3310", "3307", /"3306-3310" is no port number/],
    ["3306", "mysql", /"mysql" is no port number/],
  ] as const) {
    const annotated = (text: string) => (text === "" ? {} : { [OPAQUE_PORTS]: text });
    await world.put(SERVICES, {
      metadata: { ...metadata, annotations: annotated(ofService) },
      spec,
    });
    await world.putPod("shop", "db-0", { annotations: annotated(ofPod), ports });
    const found = (await world.check("--proxy", "-n", "shop")).of(OPAQUE);
    const name = `${ofService} and ${ofPod}`;
    assert.equal(found?.result, expected === undefined ? "success" : "warning", name);
    if (expected !== undefined) assert.match(found?.error ?? "", expected, name);
  }
  await world.put(SERVICES, {
    metadata: { ...metadata, annotations: { [OPAQUE_PORTS]: "3306" } },
    spec: { ...spec, clusterIP: "None" },
  });
  const headless = await world.check("--proxy", "-n", "shop");
  assert.equal(headless.of(OPAQUE)?.result, "success");
});
