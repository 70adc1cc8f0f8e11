import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Env } from "@heddle/base/env";
import { installDefinitions } from "@heddle/control/crds/install";
import { createSelfSigned } from "@heddle/control/identity/bootstrap";
import { loadControl } from "@heddle/control/settings";
import { NAMESPACES, SECRETS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { parseAllDocuments } from "yaml";
import { changedLeaves } from "./testing/flat-objects.ts";
import { type CliRun, runInProcess } from "./testing/run.ts";

interface Printed {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
}

function install(...args: readonly string[]): Promise<CliRun> {
  return run("--ignore-cluster", ...args);
}

async function run(...args: readonly string[]): Promise<CliRun> {
  const { out, ...rest } = await runInProcess(["install", ...args]);
  return { ...rest, out: `${out}\n` };
}

function objects(text: string): Printed[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Printed);
}

/** What is made anew by each run. */
function withoutKeys(text: string): string {
  return text
    .replaceAll(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g, "CERTIFICATE")
    .replaceAll(/^( +(?:crt\.pem|key\.pem|tls\.crt|tls\.key|caBundle)): .+$/gm, "$1: PEM")
    .replaceAll(/^( +linkerd\.io\/trust-root-sha256): .+$/gm, "$1: HASH")
    .replaceAll(/^( +linkerd-config-overrides): .+$/gm, "$1: VALUES")
    .replaceAll(/^( +heddle\.dev\/made): .+$/gm, "$1: NOW");
}

/** HEDDLE_UPDATE_GOLDEN=1 writes what is printed now. */
function checkGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, "testdata", `${name}.golden`);
  if (process.env["HEDDLE_UPDATE_GOLDEN"] === "1") writeFileSync(path, text);
  assert.equal(text, readFileSync(path, "utf8"));
}

test("[HC31] install prints the golden manifests", async (t) => {
  const { code, out, err } = await install();
  assert.equal(code, 0, err);
  const base = withoutKeys(out);
  await t.test("install-default", () => checkGolden("install-default", base));
  // Of the others only what differs.
  for (const [name, args] of [
    ["ha", ["--ha"]],
    ["ha-gid", ["--ha", "--controller-gid", "1000", "--proxy-gid", "2000"]],
    [
      "registry-and-domain",
      ["--registry", "mirror.example/mesh", "--cluster-domain", "example.com"],
    ],
    ["pod-labels", ["--set", "podLabels.on=yes,podAnnotations.asm=3,commonLabels.team=a"]],
    [
      "namespace-selector",
      [
        "--set",
        "proxyInjector.namespaceSelector.matchExpressions[0].key=my,proxyInjector.namespaceSelector.matchExpressions[0].operator=Exists",
      ],
    ],
    [
      "tracing",
      [
        "--set",
        "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=collector.trace:4317,proxy.tracing.collector.meshIdentity.serviceAccountName=collector,proxy.tracing.collector.meshIdentity.namespace=trace",
      ],
    ],
    ["no-heartbeat", ["--disable-heartbeat"]],
    ["cni", ["--linkerd-cni-enabled"]],
    ["pod-monitors", ["--set", "podMonitor.enabled=true"]],
    ["expansion", ["--set", "expansion.enabled=true,expansion.advertised[0]=192.0.2.1:8444"]],
    ["regular-sidecar", ["--set", "proxy.nativeSidecar=false"]],
  ] as const) {
    await t.test(`install-${name}`, async () => {
      const run = await install(...args);
      assert.equal(run.code, 0, run.err);
      checkGolden(`install-${name}`, changedLeaves(base, withoutKeys(run.out)));
    });
  }
});

for (const [name, args] of [
  ["install-crds", ["--crds"]],
  ["install-crds-gateway", ["--crds", "--set", "installGatewayAPI=true"]],
] as const) {
  test(`install prints ${name}.golden`, async () => {
    const { code, out, err } = await install(...args);
    assert.equal(code, 0, err);
    checkGolden(name, out);
  });
}

test("[HC32] install prints the definitions, with routes or without", async () => {
  const kindsOf = async (...args: readonly string[]): Promise<readonly string[]> =>
    objects((await install("--crds", ...args)).out).map(({ metadata }) => metadata.name);
  const route = "httproutes.gateway.networking.k8s.io";
  const plain = await kindsOf();
  assert.equal(plain.includes(route), false);
  assert.ok(plain.includes("servers.policy.linkerd.io"));
  assert.ok((await kindsOf("--set", "installGatewayAPI=true")).includes(route));
  const off = await kindsOf("--set", "installGatewayAPI=true,enableHttpRoutes=false");
  assert.equal(off.includes(route), false);
  const streams = ["tlsroutes", "tcproutes"].map((kind) => `${kind}.gateway.networking.k8s.io`);
  const routesIn = (names: readonly string[]): readonly string[] =>
    names.filter((name) => name.endsWith(".gateway.networking.k8s.io"));
  assert.deepEqual(routesIn(off).toSorted(), streams.toSorted());
  const tls = await kindsOf("--set", "enableTlsRoutes=true");
  assert.deepEqual(routesIn(tls), ["tlsroutes.gateway.networking.k8s.io"]);
  const http = await kindsOf(
    "--set",
    "installGatewayAPI=true,enableTlsRoutes=false,enableTcpRoutes=false",
  );
  assert.deepEqual(
    routesIn(http).toSorted(),
    ["grpcroutes", "httproutes"].map((kind) => `${kind}.gateway.networking.k8s.io`),
  );
});

test("[HC33] install takes an issuer that holds together, and none by halves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-install-"));
  try {
    const names = { controlNamespace: "linkerd", trustDomain: "cluster.local" };
    const issuer = await createSelfSigned({ ...names, clock: systemClock });
    const other = await createSelfSigned({ ...names, clock: systemClock });
    let made = 0;
    const file = (text: string): string => {
      const path = join(folder, `${made++}.pem`);
      writeFileSync(path, text);
      return path;
    };
    const flags = (anchors: string, certificate: string, key: string): string[] => [
      ...["--identity-trust-anchors-file", file(anchors)],
      ...["--identity-issuer-certificate-file", file(certificate)],
      ...["--identity-issuer-key-file", file(key)],
    ];
    const good = flags(issuer.anchorsPem, issuer.issuerPem, issuer.issuerKeyPem);
    const { code, out, err } = await install(...good);
    assert.equal(code, 0, err);
    const secret = objects(out).find(({ metadata }) => metadata.name === "linkerd-identity-issuer");
    assert.equal(
      Buffer.from(secret!.data!["key.pem"]!, "base64").toString(),
      issuer.issuerKeyPem.trim(),
    );
    const external = await install("--identity-external-ca", ...good.slice(2));
    assert.equal(external.code, 0, external.err);
    for (const [args, why] of [
      [good.slice(0, 4), /--identity-issuer-key-file/],
      [flags(issuer.anchorsPem, issuer.issuerPem, other.issuerKeyPem), /does not belong/],
      [flags(other.anchorsPem, issuer.issuerPem, issuer.issuerKeyPem), /signed by no trust anchor/],
      [flags("junk", issuer.issuerPem, issuer.issuerKeyPem), /holds no certificate/],
      [["--identity-external-ca"], /anchors that somebody else keeps: give/],
      [["--identity-external-issuer", ...good], /external issuer/],
      [["--identity-external-issuer"], /Secret is in it/],
    ] as const) {
      const refused = await install(...args);
      assert.equal(refused.code, 1, String(why));
      assert.match(refused.err, why);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("install takes an external issuer's anchors from its Secret", async () => {
  await using store = await ApiStore.start();
  const { client } = store;
  const kubeconfig = ["--kubeconfig", join(store.folder, "admin.kubeconfig")];
  await installDefinitions(client);
  await client.create(NAMESPACES, { metadata: { name: "linkerd" } });
  const external = [...kubeconfig, "--identity-external-issuer"];
  const without = await run(...external);
  assert.equal(without.code, 1);
  assert.match(without.err, /has no ca\.crt/);
  await client.create(SECRETS, {
    metadata: { name: "linkerd-identity-issuer", namespace: "linkerd" },
    data: { "ca.crt": Buffer.from("ANCHORS").toString("base64") },
  });
  const { code, out, err } = await run(...external);
  assert.equal(code, 0, err);
  const roots = objects(out).find(({ metadata }) => metadata.name.endsWith("trust-roots"));
  assert.equal(roots?.data?.["ca-bundle.crt"]?.trim(), "ANCHORS");
});

test("[HC34] install works without a cluster", async () => {
  const { code, out, err } = await install();
  assert.equal(code, 0, err);
  const names = objects(out).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  for (const name of ["linkerd-identity", "linkerd-destination"]) {
    assert.ok(names.includes(`Deployment/${name}`));
    assert.ok(names.includes(`ServiceAccount/${name}`));
  }
});

test("[NI09] every component's proxy has its own resources, or those of all", async () => {
  const { out } = await install(
    "--proxy-cpu-request=1",
    "--set",
    "destinationProxyResources.cpu.request=2,identityProxyResources.memory.limit=9Mi",
  );
  const found = parseAllDocuments(out)
    .map((one) => one.toJS())
    .filter(({ kind }) => kind === "Deployment")
    .map(({ metadata, spec: { template } }) => {
      const { initContainers, containers } = template.spec;
      const all: readonly { name: string; resources?: object }[] = [
        ...initContainers,
        ...containers,
      ];
      return [metadata.name, all.find(({ name }) => name === "linkerd-proxy")?.resources];
    });
  assert.deepEqual(Object.fromEntries(found), {
    "linkerd-destination": { requests: { cpu: "2" } },
    "linkerd-identity": { limits: { memory: "9Mi" } },
    "linkerd-proxy-injector": { requests: { cpu: "1" } },
  });
});

test("the control plane takes the settings that its Deployments give it", async () => {
  const printed = parseAllDocuments((await install("--ha")).out).map((one) => one.toJS());
  const roles = printed
    .filter(({ kind }) => kind === "Deployment")
    .flatMap(({ spec }) => spec.template.spec.containers)
    .filter(({ args }) => args?.[0] === "control")
    .map(({ env: list }: { readonly env: readonly Record<string, string>[] }) => {
      const settings = Object.fromEntries(list.map(({ name, value }) => [name!, value!]));
      const env = new Env((name) => settings[name]);
      const loaded = loadControl(env);
      env.check();
      return [...loaded.roles].join();
    });
  const expected = ["destination", "identity", "injector", "policy,policy-validator"];
  assert.deepEqual(roles.sort(), [...expected, "sp-validator"]);
});
