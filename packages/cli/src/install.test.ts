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
import { CONFIG_MAPS, NAMESPACES, SECRETS } from "@heddle/kube/types/core";
import { ApiStore } from "@heddle/testkit/api-store";
import { parseAllDocuments } from "yaml";
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
    .replaceAll(/^( +(?:crt|key)\.pem): .+$/gm, "$1: PEM");
}

for (const [name, args] of [
  ["install-default", []],
  ["install-ha", ["--ha"]],
  ["install-domain", ["--cluster-domain", "example.com", "--set", "podLabels.on=yes"]],
  ["install-crds", ["--crds"]],
  ["install-crds-gateway", ["--crds", "--set", "installGatewayAPI=true"]],
] as const) {
  // HEDDLE_UPDATE_GOLDEN=1 writes what is printed now.
  test(`install prints ${name}.golden`, async () => {
    const { code, out, err } = await install(...args);
    assert.equal(code, 0, err);
    const path = join(import.meta.dirname, "testdata", `${name}.golden`);
    if (process.env["HEDDLE_UPDATE_GOLDEN"] === "1") writeFileSync(path, withoutKeys(out));
    assert.equal(withoutKeys(out), readFileSync(path, "utf8"));
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
    const secret = objects(out).find(({ kind }) => kind === "Secret");
    assert.equal(
      Buffer.from(secret!.data!["key.pem"]!, "base64").toString(),
      issuer.issuerKeyPem.trim(),
    );
    for (const [args, why] of [
      [good.slice(0, 4), /--identity-issuer-key-file/],
      [flags(issuer.anchorsPem, issuer.issuerPem, other.issuerKeyPem), /does not belong/],
      [flags(other.anchorsPem, issuer.issuerPem, issuer.issuerKeyPem), /signed by no trust anchor/],
      [flags("junk", issuer.issuerPem, issuer.issuerKeyPem), /holds no certificate/],
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
  ["controllerReplicas=many", /controllerReplicas is "many"; it must be a number/],
  ["proxy=none", /proxy is "none"; it must be a map/],
] as const) {
  test(`install refuses ${value}`, async () => {
    const { code, out, err } = await install("--set", value);
    assert.equal(code, 1);
    assert.equal(out.trim(), "");
    assert.match(err, expected);
  });
}

test("install looks at the cluster: its definitions, and who is there already", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = ["--kubeconfig", join(store.folder, "admin.kubeconfig")];
  const early = await run(...kubeconfig);
  assert.equal(early.code, 1);
  assert.match(early.err, /is missing; run heddle install --crds/);
  assert.equal((await run("--crds", ...kubeconfig)).code, 0);
  const namespace = { metadata: { name: "linkerd" } };
  await store.client.create(NAMESPACES, namespace);
  const metadata = { name: "linkerd-config", namespace: "linkerd" };
  await store.client.create(CONFIG_MAPS, { metadata });
  const late = await run("--crds", ...kubeconfig);
  assert.equal(late.code, 1);
  assert.match(late.err, /a control plane of this mesh is there/);
});

test("the control plane takes the settings that its Deployments give it", async () => {
  const printed = parseAllDocuments((await install("--ha")).out).map((one) => one.toJS());
  const roles = printed
    .filter(({ kind }) => kind === "Deployment")
    .map(({ spec }) => {
      const list = spec.template.spec.containers[0].env as readonly Record<string, string>[];
      const settings = Object.fromEntries(list.map(({ name, value }) => [name!, value!]));
      const env = new Env((name) => settings[name]);
      const loaded = loadControl(env);
      env.check();
      return [...loaded.roles].join();
    });
  assert.deepEqual(roles.sort(), ["destination,policy", "identity"]);
});
