import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { gatewayDefinitions, installDefinitions } from "@heddle/control/crds/install";
import {
  CONFIG_MAPS,
  CUSTOM_RESOURCE_DEFINITIONS,
  NAMESPACES,
  NODES,
} from "@heddle/kube/types/core";
import type { KubeObject } from "@heddle/kube/types/meta";
import { ApiStore } from "@heddle/testkit/api-store";
import { parseAllDocuments } from "yaml";
import { flatObjects } from "./testing/flat-objects.ts";
import { type CliRun, runInProcess } from "./testing/run.ts";

function install(store: ApiStore, ...args: readonly string[]): Promise<CliRun> {
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  return runInProcess(["install", "--kubeconfig", kubeconfig, ...args]);
}

async function refused(run: Promise<CliRun>, why: RegExp): Promise<void> {
  const { code, out, err } = await run;
  assert.deepEqual([code, out], [1, ""], err);
  assert.match(err, why);
}

for (const [value, expected] of [
  ["controllerLogLevel=loud", /controllerLogLevel is "loud"/],
  ["clusterNetworks=10.0.0.0", /clusterNetworks is "10\.0\.0\.0"/],
  ["proxy.defaultInboundPolicy=open", /proxy\.defaultInboundPolicy is "open"/],
  ["identityTrustDomain=A_b", /identityTrustDomain is "A_b"/],
  ["imagePullPolicy=Sometimes", /imagePullPolicy is "Sometimes"/],
  ["identity.issuer.scheme=x", /identity\.issuer\.scheme is "x"/],
  ["linkerdVersion=a b", /linkerdVersion is "a b"/],
  ["controllerReplica=3", /the chart has no value controllerReplica$/m],
  ["proxy.opaquePort=1", /the chart has no value proxy\.opaquePort/],
  ["controllerReplicas=many", /controllerReplicas is "many"; it must be a whole number/],
  ["controllerReplicas=0", /controllerReplicas is "0"; it must be at least 1/],
  ["proxy=none", /proxy is "none"; it must be a map/],
  ["proxyInit.ignoreInboundPorts=25\\,x", /ignoreInboundPorts is "x"; it must be a list of ports/],
  ["proxyInit.ignoreOutboundPorts=9-8", /ignoreOutboundPorts is "9-8"/],
  ["proxyInit.ignoreOutboundPorts=65536", /ignoreOutboundPorts is "65536"/],
  ["proxy.logLevel=linkerd=loud", /proxy\.logLevel is "linkerd=loud"/],
  ["proxy.resources.cpu.request=fast", /proxy\.resources\.cpu\.request is "fast"/],
  [
    "proxy.resources.memory.request=1Gi,proxy.resources.memory.limit=1Mi",
    /proxy\.resources\.memory\.limit is "1Mi"; it must be at least the request, 1Gi/,
  ],
  ["identity.issuer.issuanceLifetime=day", /issuanceLifetime is "day"; it must be a duration/],
  ["enablePprof=true", /we have no pprof/],
  ["enableEndpointSlices=false", /EndpointSlices are all that we read/],
  ["policyController.additionalArgs[0]=--x", /use policyController\.additionalEnv/],
  ["proxyInit.closeWaitTimeoutSecs=1", /needs proxyInit\.runAsRoot/],
  ["proxyInjector.externalSecret=true", /proxyInjector\.externalSecret needs caBundle/],
  ["proxyInjector.injectCaFrom=a/b", /need externalSecret/],
  ["expansion.enabled=true", /needs expansion\.advertised/],
] as const) {
  test(`[HC36] install refuses ${value}`, async () => {
    await refused(runInProcess(["install", "--ignore-cluster", "--set", value]), expected);
  });
}

for (const [args, expected] of [
  [["--controller-replicas", "two"], /--controller-replicas takes a whole number/],
  [["--proxy-cpu-request", "fast"], /--proxy-cpu-request/],
  [["--skip-inbound-ports", "1-"], /ignoreInboundPorts is "1-"/],
  [["--enable-endpoint-slices=maybe"], /takes true or false/],
  [["-o", "xml"], /-o takes yaml or json/],
  [["--values", "/nowhere.yaml"], /Cannot read \/nowhere\.yaml/],
] as const) {
  test(`[HC36] install refuses ${args.join(" ")}`, async () => {
    const { code, out, err } = await runInProcess(["install", "--ignore-cluster", ...args]);
    assert.notEqual(code, 0);
    assert.equal(out, "");
    assert.match(err, expected);
  });
}

test("[HC35] install --crds looks at the Gateway API first", async (t) => {
  const crds = "--crds";
  const on = ["--set", "installGatewayAPI=true"];
  const off = ["--set", "installGatewayAPI=false"];
  const hasRoutes = ({ out }: CliRun): boolean =>
    out.includes("name: httproutes.gateway.networking.k8s.io");
  await t.test("absent: it must come from somewhere", async () => {
    await using store = await ApiStore.start();
    await refused(install(store, crds), /must be installed first: kubectl apply --server-side/);
    await refused(install(store, crds, ...off), /must be installed first/);
    const run = await install(store, crds, ...on);
    assert.deepEqual([run.code, hasRoutes(run)], [0, true], run.err);
  });
  await t.test("ours: it stays", async () => {
    await using store = await ApiStore.start();
    await installDefinitions(store.client);
    const run = await install(store, crds);
    assert.deepEqual([run.code, hasRoutes(run)], [0, true], run.err);
    await refused(install(store, crds, ...off), /would be taken away/);
    await refused(install(store, crds, "--set", "enableHttpRoutes=false"), /would be taken away/);
  });
  await t.test("somebody else's: it is left alone", async () => {
    await using store = await ApiStore.start();
    for (const definition of gatewayDefinitions()) {
      const { annotations, labels, ...metadata } = definition.metadata;
      const { "linkerd.io/created-by": _, ...foreign } = annotations ?? {};
      await store.client.create(CUSTOM_RESOURCE_DEFINITIONS, {
        ...definition,
        metadata: { ...metadata, annotations: foreign },
      });
    }
    const run = await install(store, crds);
    assert.deepEqual([run.code, hasRoutes(run)], [0, false], run.err);
    await refused(install(store, crds, ...on), /would be overwritten/);
  });
  await t.test("TLSRoutes alone are somebody else's: those are left alone", async () => {
    await using store = await ApiStore.start();
    const tls = gatewayDefinitions().find(({ spec }) => spec.names.kind === "TLSRoute")!;
    const { annotations, labels, ...metadata } = tls.metadata;
    const { "linkerd.io/created-by": _, ...foreign } = annotations ?? {};
    const found = { ...tls, metadata: { ...metadata, annotations: foreign } };
    await store.client.create(CUSTOM_RESOURCE_DEFINITIONS, found);
    const run = await install(store, crds, ...on);
    assert.deepEqual([run.code, hasRoutes(run)], [0, true], run.err);
    assert.ok(run.out.includes("name: tcproutes.gateway.networking.k8s.io"));
    assert.equal(run.out.includes("name: tlsroutes.gateway.networking.k8s.io"), false);
    const all = [...on, "--set", "enableTlsRoutes=true"];
    await refused(install(store, crds, ...all), /tlsroutes\S+ are somebody else's here/);
  });
  await t.test("somebody else's, and too old", async () => {
    await using store = await ApiStore.start();
    const [definition] = gatewayDefinitions();
    const { annotations, labels, ...metadata } = definition!.metadata;
    const { "linkerd.io/created-by": _, ...foreign } = annotations ?? {};
    const [version] = definition!.spec.versions;
    const old = { ...version!, name: "v1beta1", storage: true };
    await store.client.create(CUSTOM_RESOURCE_DEFINITIONS, {
      metadata: { ...metadata, annotations: foreign },
      spec: { ...definition!.spec, versions: [old] },
    });
    await refused(install(store, crds), /has no version v1; the Gateway API must be v1\.1\.1/);
  });
});

test("install looks at the cluster: its definitions, its nodes, and its API server's ports", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  await refused(install(store), /is missing; run heddle install --crds/);
  await installDefinitions(client);
  const run = await install(store);
  assert.equal(run.code, 0, run.err);
  const node: KubeObject & { readonly status: object } = {
    metadata: { name: "old" },
    status: { nodeInfo: { containerRuntimeVersion: "docker://20.10" } },
  };
  await client.create(NODES, node);
  await client.patch(
    NODES,
    { name: "old" },
    { type: "merge", body: { status: node.status } },
    { subresource: "status" },
  );
  await refused(install(store), /node old runs its containers by Docker/);
  assert.equal((await install(store, "--set", "proxyInit.runAsRoot=true")).code, 0);
});

test("install goes beside no other control plane, and says how to take it over", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  await installDefinitions(client);
  for (const name of ["linkerd", "mesh"]) await client.create(NAMESPACES, { metadata: { name } });
  const labels = { "linkerd.io/control-plane-component": "controller" };
  const config = (createdBy: string): Promise<KubeObject> =>
    client.create(CONFIG_MAPS, {
      metadata: {
        name: "linkerd-config",
        namespace: "linkerd",
        labels,
        annotations: { "linkerd.io/created-by": createdBy },
      },
    });
  await config("linkerd/helm edge-26.8.3");
  for (const args of [[], ["--crds"]]) {
    await refused(
      install(store, ...args),
      /by linkerd\/helm edge-26\.8\.3\); take it over with heddle upgrade --take-over/,
    );
  }
  await refused(install(store, "-L", "mesh"), /namespace linkerd holds a control plane already/);
  await client.delete(CONFIG_MAPS, { name: "linkerd-config", namespace: "linkerd" });
  await config("heddle/cli 0.1.0");
  await refused(install(store), /change it with heddle upgrade/);
});

test("[NI08] the Secret of overrides holds every value that differs from the chart's, and no other", async () => {
  const args = [
    "--ignore-cluster",
    "--ha",
    "--set",
    "proxy.uid=5000",
    "--proxy-cpu-limit",
    "1500m",
  ];
  const { out, err } = await runInProcess(["install", ...args]);
  const objects = parseAllDocuments(out).map((document) => document.toJS());
  const secret = objects.find(({ metadata }) => metadata?.name === "linkerd-config-overrides");
  assert.notEqual(secret, undefined, err);
  const text = Buffer.from(secret.data["linkerd-config-overrides"], "base64").toString();
  const [values] = parseAllDocuments(text).map((document) => document.toJS());
  const { identity, identityTrustAnchorsPEM, proxy, ...rest } = values;
  assert.match(identityTrustAnchorsPEM, /BEGIN CERTIFICATE/);
  assert.deepEqual(Object.keys(identity.issuer.tls).sort(), ["crtPEM", "keyPEM"]);
  assert.deepEqual(proxy, {
    uid: 5000,
    resources: {
      cpu: { request: "100m", limit: "1500m" },
      memory: { request: "20Mi", limit: "250Mi" },
    },
    runtime: { workers: { maximum: 2 } },
  });
  assert.deepEqual(
    Object.keys(rest).sort(),
    [
      "controllerReplicas",
      "controllerResources",
      "deploymentStrategy",
      "destinationResources",
      "enablePodAntiAffinity",
      "enablePodDisruptionBudget",
      "heartbeatResources",
      "highAvailability",
      "identityResources",
      "proxyInjectorResources",
      "spValidatorResources",
      "webhookFailurePolicy",
    ].sort(),
  );
});

test("install takes a default away where a value is null, as Helm does", async () => {
  const cni = ["install", "--ignore-cluster", "--linkerd-cni-enabled"];
  const args = ["--set", "networkValidator.securityContext.runAsGroup=null,proxy.accessLog=null"];
  const { out, err } = await runInProcess([...cni, ...args]);
  const leaves = flatObjects(out);
  const at = "Deployment/linkerd-identity.spec.template.spec.initContainers";
  const group = `${at}[linkerd-network-validator].securityContext.runAsGroup`;
  assert.deepEqual(
    [leaves.get(group), leaves.get(group.replace("Group", "User"))],
    [undefined, "65534"],
    err,
  );
  const config = "ConfigMap/linkerd-config.data.values.proxy";
  assert.deepEqual([leaves.has(`${config}.accessLog`), leaves.has(`${config}.uid`)], [false, true]);
});
