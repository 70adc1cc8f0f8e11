import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { CONFIG_MAPS, NAMESPACES } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import {
  container,
  inFolder,
  inject,
  only,
  templateOf,
  variable,
  workload,
} from "./testing/injected.ts";
import { runInProcess } from "./testing/run.ts";

/** Flags, and the annotations that Linkerd's inject writes for them. */
const OVERRIDES: readonly (readonly [readonly string[], Readonly<Record<string, string>>])[] = [
  [["--proxy-version", "edge-26.8.3"], { "proxy-version": "edge-26.8.3" }],
  [["-v", "v9"], { "proxy-version": "v9" }],
  [["--skip-inbound-ports", "25,80-90"], { "skip-inbound-ports": "25,80-90" }],
  [["--skip-outbound-ports", "25"], { "skip-outbound-ports": "25" }],
  [["--admin-port", "1"], { "admin-port": "1" }],
  [["--control-port", "2"], { "control-port": "2" }],
  [["--inbound-port", "3"], { "inbound-port": "3" }],
  [["--outbound-port", "4"], { "outbound-port": "4" }],
  [["--opaque-ports", "1-2"], { "opaque-ports": "1-2" }],
  [["--proxy-image", "own/proxy"], { "proxy-image": "own/proxy" }],
  [["--image-pull-policy", "Never"], { "image-pull-policy": "Never" }],
  [["--proxy-uid", "7"], { "proxy-uid": "7" }],
  [["--proxy-gid", "8"], { "proxy-gid": "8" }],
  [["--proxy-log-level", "warn,linkerd=debug"], { "proxy-log-level": "warn,linkerd=debug" }],
  [["--require-identity-on-inbound-ports", "80"], { "proxy-require-identity-inbound-ports": "80" }],
  [["--enable-external-profiles"], { "enable-external-profiles": "true" }],
  [["--proxy-cpu-request", "100m"], { "proxy-cpu-request": "100m" }],
  [["--proxy-cpu", "100m"], { "proxy-cpu-request": "100m" }],
  [["--proxy-memory", "64Mi"], { "proxy-memory-request": "64Mi" }],
  [["--proxy-memory-limit", "64Mi"], { "proxy-memory-limit": "64Mi" }],
  [["--default-inbound-policy", "audit"], { "default-inbound-policy": "audit" }],
  [["--native-sidecar=false"], { "proxy-enable-native-sidecar": "false" }],
  [["--enable-debug-sidecar"], { "enable-debug-sidecar": "true" }],
  [["--close-wait-timeout", "90s"], { "close-wait-timeout": "1m30s" }],
  // What is the default already says nothing.
  [
    [
      ...["--proxy-uid", "2102", "--inbound-port", "4143", "--native-sidecar"],
      ...["--close-wait-timeout", "0s", "--enable-external-profiles=false"],
      ...["--registry", "heddle"],
    ],
    {},
  ],
];

for (const [flags, wanted] of OVERRIDES) {
  test(`[HC28] inject ${flags.join(" ")} annotates ${JSON.stringify(wanted)}`, async () => {
    const { code, out, err } = await inject(workload("Deployment"), ...flags);
    assert.equal(code, 0, err);
    const expected = Object.entries(wanted).map(([key, value]) => [
      `config.linkerd.io/${key}`,
      value,
    ]);
    assert.deepEqual(templateOf(only(out)).metadata.annotations, {
      ...Object.fromEntries(expected),
      "linkerd.io/inject": "enabled",
    });
  });
}

test("[HC28] wait-before-exit-seconds has its own prefix, and ingress is the value of inject", async () => {
  const { out } = await inject(
    workload("Deployment"),
    ...["--wait-before-exit-seconds", "5", "--ingress"],
  );
  assert.deepEqual(templateOf(only(out)).metadata.annotations, {
    "config.alpha.linkerd.io/proxy-wait-before-exit-seconds": "5",
    "linkerd.io/inject": "ingress",
  });
});

/** Flags that no proxy could run with. */
const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [["--skip-inbound-ports", "70000"], /--skip-inbound-ports: "70000" is not a valid range/],
  [["--skip-outbound-ports", "9-8"], /--skip-outbound-ports: "9-8".*ends before it begins/],
  [["--image-pull-policy", "Sometimes"], /--image-pull-policy: .*Always, IfNotPresent, Never/],
  [["--proxy-log-level", "loud"], /^$/],
  [["--proxy-log-level", "linkerd=loud"], /--proxy-log-level: "linkerd=loud" is not a list/],
  [["--proxy-log-level", ""], /--proxy-log-level/],
  [["--proxy-version", "a b"], /--proxy-version: "a b" is not a version/],
  [["--default-inbound-policy", "allow"], /--default-inbound-policy: .*"allow"/],
  [
    ["--proxy-cpu-request", "2", "--proxy-cpu-limit", "1"],
    /--proxy-cpu-limit: 1 is less than the request of 2/,
  ],
  [["--proxy-memory-limit", "lots"], /--proxy-memory-limit: .*"lots" is not a quantity/],
  [["--close-wait-timeout", "90"], /--close-wait-timeout: "90" is not a duration/],
  [["--native-sidecar=maybe"], /--native-sidecar takes true or false, not "maybe"/],
  [["--disable-identity"], /--disable-identity is gone/],
  [["-o", "xml"], /-o takes yaml or json/],
];

for (const [flags, reason] of REFUSED) {
  const isTaken = reason.source === "^$";
  test(`[HC28] inject ${flags.join(" ")} is ${isTaken ? "taken" : "refused by name"}`, async () => {
    const { code, out, err } = await inject(workload("Deployment"), ...flags);
    // A bare word may be the name of a module.
    if (isTaken) {
      assert.equal(code, 0, err);
      return;
    }
    assert.deepEqual([code, out], [2, ""]);
    assert.match(err, reason);
  });
}

test("[HC29] images come from another registry by flag or by variable, and the flag wins", async () => {
  const images = async (args: readonly string[], env: Readonly<Record<string, string>>) =>
    inFolder(async (folder) => {
      const path = join(folder, "in.yaml");
      await writeFile(path, workload("Deployment"));
      const lead = ["inject", "--ignore-cluster", "--manual", "--enable-debug-sidecar"];
      const { code, out, err } = await runInProcess([...lead, ...args, path], env);
      assert.equal(code, 0, err);
      const template = templateOf(only(out));
      return ["linkerd-init", "linkerd-proxy", "linkerd-debug"].map(
        (name) => container(template, name).image,
      );
    });
  const of = (registry: string, tag = "0.1.0") =>
    ["proxy", "proxy", "debug"].map((name) => `${registry}/${name}:${tag}`);
  assert.deepEqual(await images([], {}), of("heddle"));
  assert.deepEqual(await images(["--registry", "my.own:5000/mesh"], {}), of("my.own:5000/mesh"));
  const env = { LINKERD_DOCKER_REGISTRY: "by.variable/x/" };
  assert.deepEqual(await images([], env), of("by.variable/x"));
  assert.deepEqual(await images(["--registry", "by.flag"], env), of("by.flag"));
  // Of an image only the name stays.
  const [init] = await images(["--registry", "by.flag", "--proxy-image", "a.b/c/d"], {});
  assert.equal(init, "by.flag/d:0.1.0");
});

test("[HC28] without --ignore-cluster the cluster's own values are the base, anchors included", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  await store.client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  await inFolder(async (folder) => {
    const path = join(folder, "in.yaml");
    await writeFile(path, workload("Deployment"));
    const run = (...flags: readonly string[]) =>
      runInProcess(["inject", "--kubeconfig", kubeconfig, ...flags, path]);
    const early = await run();
    assert.equal(early.code, 1);
    assert.match(early.err, /linkerd-config is not there/);
    assert.match(early.err, /--ignore-cluster takes the chart's defaults/);
    await store.client.create(CONFIG_MAPS, {
      metadata: { namespace: "linkerd", name: "linkerd-config" },
      data: {
        values:
          "proxy: { uid: 7 }\nproxyInit: { runAsRoot: true }\nclusterDomain: east.example\nlinkerdVersion: v8\n",
      },
    });
    await store.client.create(CONFIG_MAPS, {
      metadata: { namespace: "linkerd", name: "linkerd-identity-trust-roots" },
      data: { "ca-bundle.crt": "ANCHORS" },
    });
    const same = templateOf(only((await run("--proxy-uid", "7")).out));
    assert.deepEqual(same.metadata.annotations, { "linkerd.io/inject": "enabled" });
    const written = templateOf(only((await run("--manual", "--close-wait-timeout", "90s")).out));
    const init = container(written, "linkerd-init");
    const args = init.args!;
    assert.equal(args[args.indexOf("--timeout-close-wait-secs") + 1], "90");
    assert.equal(init.securityContext?.runAsUser, 0);
    assert.equal(variable(written, "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"), "ANCHORS\n");
    assert.equal(
      variable(written, "LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES"),
      "svc.east.example.",
    );
    assert.equal(container(written, "linkerd-proxy").image, "heddle/proxy:v8");
  });
});
