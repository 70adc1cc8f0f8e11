import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { installDefinitions } from "@heddle/control/crds/install";
import { KubeClient } from "@heddle/kube/client";
import { fixedCredentials } from "@heddle/kube/credentials";
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  type CustomResourceDefinition,
  NAMESPACES,
  SERVICE_ACCOUNTS,
} from "@heddle/kube/types/core";
import { ApiStore, KUBERNETES_FOLDER } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import type { CheckResult } from "../check.ts";
import { CheckedMesh } from "../checked-mesh.ts";
import { CHECKED_NODES } from "../resources.ts";
import { runChecks } from "../runner.ts";
import { MeshWorld } from "../testing/mesh-world.ts";
import { PRE_INSTALL } from "./pre-install.ts";

/** Why a test of what a server has from its start cannot run on one that is shared. */
const skip =
  (process.env[KUBERNETES_FOLDER] ?? "") !== "" &&
  "definitions outlive a store there, and the server writes some objects itself";

const GATEWAY = "Gateway API CRDs are installed";
const NAMES = ["httproutes", "grpcroutes"].map((one) => `${one}.gateway.networking.k8s.io`);

async function emptyWorld(): Promise<MeshWorld> {
  return MeshWorld.empty(await ApiStore.start(), await TestCa.root());
}

/** Somebody else's definition of HTTPRoutes. */
function definition(served: readonly string[]): CustomResourceDefinition {
  return {
    metadata: {
      name: NAMES[0]!,
      annotations: { "api-approved.kubernetes.io": "https://example.com/1" },
    },
    spec: {
      group: "gateway.networking.k8s.io",
      scope: "Namespaced",
      names: { kind: "HTTPRoute", plural: "httproutes", singular: "httproute" },
      versions: ["v1beta1", "v1"].map((name) => ({
        name,
        served: served.includes(name),
        storage: name === "v1beta1",
        schema: { openAPIV3Schema: { type: "object" } },
      })),
    },
  };
}

test("[HC01] check sees Gateway API missing, too old, somebody's or our own", {
  skip,
}, async () => {
  await using world = await emptyWorld();
  const missing = await world.check("--crds");
  assert.equal(missing.code, 1);
  assert.match(missing.of(GATEWAY)?.error ?? "", /httproutes\S+ and grpcroutes\S+ are missing/);
  // It is fatal: nothing is told of what comes after it.
  assert.equal(missing.results.at(-1)?.description, GATEWAY);

  await world.client.create(CUSTOM_RESOURCE_DEFINITIONS, definition(["v1beta1"]));
  const old = await world.check("--crds");
  assert.match(old.of(GATEWAY)?.error ?? "", /serves v1beta1, but not v1; install .* v1\.1\.1/);
  assert.equal(old.of(GATEWAY)?.hint, "https://linkerd.io/2/checks/#gateway-api-crd");

  await world.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name: NAMES[0]! });
  await world.client.create(CUSTOM_RESOURCE_DEFINITIONS, definition(["v1beta1", "v1"]));
  assert.equal((await world.check("--crds")).of(GATEWAY)?.result, "success");

  await world.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name: NAMES[0]! });
  await installDefinitions(world.client);
  const own = await world.check("--crds");
  assert.deepEqual(own.problems, []);
});

const DEFINITIONS = "control plane CustomResourceDefinitions exist";

test("check --crds names what is missing of our definitions, and what is too old", {
  skip,
}, async () => {
  await using world = await emptyWorld();
  await installDefinitions(world.client);
  const name = "externalworkloads.workload.linkerd.io";
  const { spec } = await world.client.get(CUSTOM_RESOURCE_DEFINITIONS, { name });
  const versions = [{ ...spec.versions[0]!, name: "v1alpha1", storage: true }];
  await world.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name });
  const metadata = { name };
  await world.client.create(CUSTOM_RESOURCE_DEFINITIONS, { metadata, spec: { ...spec, versions } });
  await world.client.delete(CUSTOM_RESOURCE_DEFINITIONS, { name: "servers.policy.linkerd.io" });
  const { code, of } = await world.check("--crds");
  assert.equal(code, 1);
  const error = of(DEFINITIONS)?.error ?? "";
  assert.match(error, /servers\.policy\.linkerd\.io is missing/);
  assert.match(error, /externalworkloads\.workload\.linkerd\.io has no version v1beta1/);
});

const AUTHENTICATION = "can read extension-apiserver-authentication configmap";

test("[HC09] check asks whether it may create things, cluster-wide ones by trying", async () => {
  await using world = await emptyWorld();
  await installDefinitions(world.client);
  const admin = await world.check("--pre", "-L", "mesh");
  const kinds = ["ServiceAccounts", "Services", "Deployments", "CronJobs", "ConfigMaps", "Secrets"];
  const asked = ["non-namespaced resources", ...kinds].map((kind) => `can create ${kind}`);
  for (const description of [...asked, "can read Secrets"]) {
    const { result, error } = admin.of(description) ?? {};
    assert.equal(result, "success", `${description}: ${error}`);
  }
  // Nothing of what was tried is there.
  assert.equal(await world.client.find(NAMESPACES, { name: "mesh" }), undefined);
});

test("[HC09] check tells whatever an account may not do", async () => {
  await using store = await ApiStore.start();
  await installDefinitions(store.client);
  await store.client.create(SERVICE_ACCOUNTS, {
    metadata: { name: "nobody", namespace: "default" },
  });
  const token = await store.issueToken("default", "nobody");
  const { cluster } = store.client;
  const { cert: _cert, key: _key, ...tls } = cluster.tls;
  const results: CheckResult[] = [];
  using mesh = new CheckedMesh(
    {
      controlNamespace: "linkerd",
      cniNamespace: "linkerd-cni",
      dataNamespace: undefined,
      cliVersion: "edge-26.6.3",
      expectedVersion: undefined,
      versionUrl: undefined,
      isCniExpected: false,
      isPreInstall: true,
      manifests: async () => [
        { apiVersion: "v1", kind: "Namespace", metadata: { name: "linkerd" } },
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", namespace: "linkerd" } },
        { apiVersion: "v1", kind: "Nonsense", metadata: { name: "x" } },
      ],
    },
    systemClock,
    () =>
      new KubeClient({
        cluster: { ...cluster, tls, credentials: fixedCredentials(`Bearer ${token}`) },
      }),
  );
  const isSuccess = await runChecks([PRE_INSTALL], {
    mesh,
    waitMs: 0,
    clock: systemClock,
    onResult: (result) => results.push(result),
    stop: new AbortController().signal,
  });
  assert.equal(isSuccess, false);
  const errorOf = (wanted: string): string =>
    results.find(({ description }) => description === wanted)?.error ?? "";
  const cluster_ = errorOf("can create non-namespaced resources");
  assert.match(cluster_, /Namespace linkerd: .*403 Forbidden/);
  assert.match(cluster_, /Nonsense x: v1 is not served/);
  assert.doesNotMatch(cluster_, /ConfigMap/);
  for (const plural of ["services", "deployments", "cronjobs", "secrets"]) {
    const problem = results.find(({ error }) => error?.includes(`create ${plural} in namespace`));
    assert.match(problem?.error ?? "", /missing permission to create/, plural);
  }
  assert.match(errorOf("can read Secrets"), /missing permission to get secrets/);
});

test("[HC10] check asks for the API server's client CA", { skip }, async () => {
  await using world = await emptyWorld();
  await installDefinitions(world.client);
  const put = (data: Readonly<Record<string, string>>): Promise<unknown> => {
    const name = "extension-apiserver-authentication";
    return world.put(CONFIG_MAPS, { metadata: { name, namespace: "kube-system" }, data });
  };
  await put({ "requestheader-client-ca-file": "PEM" });
  assert.equal((await world.check("--pre")).of(AUTHENTICATION)?.result, "success");
  for (const data of [{ "client-ca-file": "PEM" }, { "requestheader-client-ca-file": "" }]) {
    await put(data);
    const { code, of } = await world.check("--pre");
    assert.equal(code, 1);
    assert.match(of(AUTHENTICATION)?.error ?? "", /has no requestheader-client-ca-file/);
  }
});

test("[HC11] check compares its clock with that of every node that is ready", async () => {
  await using world = await emptyWorld();
  await installDefinitions(world.client);
  const put = (name: string, status: "True" | "False", agoMs: number): Promise<unknown> => {
    const lastHeartbeatTime = new Date(Date.now() - agoMs).toISOString();
    const conditions = [{ type: "Ready", status, lastHeartbeatTime }];
    return world.put(CHECKED_NODES, { metadata: { name }, status: { conditions } });
  };
  await put("east", "True", 0);
  await put("gone", "False", 3_600_000);
  const description = "no clock skew detected";
  assert.equal((await world.check("--pre")).of(description)?.result, "success");
  await put("late", "True", 320_000);
  await put("early", "True", -3_600_000);
  const { of } = await world.check("--pre");
  assert.equal(of(description)?.result, "warning");
  assert.match(of(description)?.error ?? "", /\* early: 3[56]\d\d s\n\t\* late: 3\d\d s$/);
});

test("check --pre refuses a namespace that is there, and a control plane that runs elsewhere", async () => {
  await using world = await MeshWorld.start(await ApiStore.start(), await TestCa.root());
  const here = await world.check("--pre");
  assert.equal(here.code, 1);
  const namespace = "control plane namespace does not already exist";
  assert.match(here.of(namespace)?.error ?? "", /"linkerd" is there already/);
  const other = here.of("no other control plane serves this cluster");
  assert.match(other?.error ?? "", /migrate-from-linkerd.md.*\n\t\* linkerd\/linkerd-destination/s);
  assert.equal(other?.hint, "docs/checks.md#heddle-other-control-plane");
  const elsewhere = await world.check("--pre", "-L", "second");
  assert.equal(elsewhere.of(namespace)?.result, "success");
  assert.equal(elsewhere.code, 1);
});

test("check --pre --linkerd-cni-enabled asks for the CNI plugin", async () => {
  await using world = await emptyWorld();
  await installDefinitions(world.client);
  const without = await world.check("--pre");
  assert.equal(without.of("cni plugin ConfigMap exists"), undefined);
  const { code, of } = await world.check("--pre", "--linkerd-cni-enabled");
  assert.equal(code, 1);
  assert.match(of("cni plugin ConfigMap exists")?.error ?? "", /linkerd-cni-config in namespace/);
});

test("check says which options do not go together", async () => {
  await using world = await emptyWorld();
  for (const [args, why] of [
    [["--pre", "--proxy"], /--pre and --proxy exclude/],
    [["--pre", "--crds"], /--pre and --crds exclude/],
    [["--linkerd-cni-enabled"], /goes with --pre only/],
    [["-o", "xml"], /-o takes table, short or json/],
    [["--wait", "long"], /--wait: /],
  ] as const) {
    const { code, err } = await world.run(...args);
    assert.equal(code, 2);
    assert.match(err, why);
  }
});
