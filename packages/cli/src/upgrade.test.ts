import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { installDefinitions } from "@heddle/control/crds/install";
import { createSelfSigned, type Trust } from "@heddle/control/identity/bootstrap";
import { CONFIG_MAPS, NAMESPACES, PODS, SECRETS, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import type { WebhookConfiguration } from "@heddle/kube/types/webhooks";
import { ApiStore } from "@heddle/testkit/api-store";
import { parse, parseAllDocuments } from "yaml";
import { type CliRun, runInProcess } from "./testing/run.ts";

type Issuer = Pick<Trust, "anchorsPem" | "issuerPem" | "issuerKeyPem">;
type Printed = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const CONFIG: Readonly<Record<string, Resource<KubeObject>>> = {
  Namespace: NAMESPACES,
  ConfigMap: CONFIG_MAPS,
  Secret: SECRETS,
};

/** A cluster with the objects of an installation that commands read, and a folder for files. */
class Cluster implements AsyncDisposable {
  readonly store: ApiStore;
  readonly folder: string = mkdtempSync(join(tmpdir(), "heddle-upgrade-"));
  #files = 0;

  private constructor(store: ApiStore) {
    this.store = store;
  }

  /** @param change - What somebody else's installation would have otherwise. */
  static async installed(
    args: readonly string[] = [],
    change: (object: Printed) => Printed = (object) => object,
  ): Promise<Cluster> {
    const cluster = new Cluster(await ApiStore.start());
    await installDefinitions(cluster.store.client);
    const { code, out, err } = await cluster.run("install", ...args);
    assert.equal(code, 0, err);
    for (const object of objects(out)) {
      const kind = CONFIG[object.kind ?? ""];
      if (kind !== undefined) await cluster.store.client.create(kind, change(object));
    }
    return cluster;
  }

  run(...args: readonly string[]): Promise<CliRun> {
    const [command = "", ...rest] = args;
    const kubeconfig = ["--kubeconfig", join(this.store.folder, "admin.kubeconfig")];
    return runInProcess([command, ...kubeconfig, ...rest]);
  }

  async refuses(args: readonly string[], why: RegExp): Promise<void> {
    const { code, out, err } = await this.run(...args);
    assert.deepEqual([code, out], [1, ""], err);
    assert.match(err, why);
  }

  file(text: string): string {
    const path = join(this.folder, `${this.#files++}.pem`);
    writeFileSync(path, text);
    return path;
  }

  /** A pod whose proxy has these anchors. */
  async pod(namespace: string, name: string, anchors: string): Promise<void> {
    const { client } = this.store;
    for (const [kind, metadata] of [
      [NAMESPACES, { name: namespace }],
      [SERVICE_ACCOUNTS, { name: "default", namespace }],
    ] as const) {
      await client.create(kind, { metadata }).catch(() => undefined);
    }
    const env = [{ name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS", value: anchors }];
    const labels = { "linkerd.io/control-plane-ns": "linkerd" };
    const container = { image: "app:1" };
    await client.create(PODS, {
      metadata: { name, namespace, labels },
      spec: {
        initContainers: [{ name: "linkerd-proxy", restartPolicy: "Always", env, ...container }],
        containers: [{ name: "app", ...container }],
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true });
    await this.store[Symbol.asyncDispose]();
  }
}

function objects(text: string): Printed[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Printed);
}

function named(text: string, name: string): Printed {
  const found = objects(text).find(({ metadata }) => metadata?.name === name);
  assert.notEqual(found, undefined, name);
  return found!;
}

function decoded(object: Printed, key: string): string {
  return Buffer.from(object.data?.[key] ?? "", "base64").toString();
}

function newIssuer(): Promise<Issuer> {
  const names = { controlNamespace: "linkerd", trustDomain: "cluster.local" };
  return createSelfSigned({ ...names, clock: systemClock });
}

function issuerFlags(cluster: Cluster, { anchorsPem, issuerPem, issuerKeyPem }: Issuer): string[] {
  return [
    ...["--identity-trust-anchors-file", cluster.file(anchorsPem)],
    ...["--identity-issuer-certificate-file", cluster.file(issuerPem)],
    ...["--identity-issuer-key-file", cluster.file(issuerKeyPem)],
  ];
}

test("[HC37] upgrade keeps issuer, webhooks' certificates and values, with HA or without", async (t) => {
  for (const args of [[], ["--ha", "--set", "podLabels.on=yes", "--proxy-uid", "5000"]]) {
    await t.test(args.join(" ") || "defaults", async () => {
      await using cluster = await Cluster.installed(args);
      const secret = (name: string): Promise<Printed> =>
        cluster.store.client.get(SECRETS, { namespace: "linkerd", name });
      const { code, out, err } = await cluster.run("upgrade");
      assert.equal(code, 0, err);
      for (const name of [
        "linkerd-identity-issuer",
        "linkerd-proxy-injector-k8s-tls",
        "linkerd-sp-validator-k8s-tls",
        "linkerd-policy-validator-k8s-tls",
        "linkerd-config-overrides",
      ]) {
        assert.deepEqual(named(out, name).data, (await secret(name)).data, name);
      }
      const config = { namespace: "linkerd", name: "linkerd-config" };
      const before = await cluster.store.client.get(CONFIG_MAPS, config);
      const values = (object: Printed): unknown => parse(object.data?.["values"] ?? "");
      assert.deepEqual(values(named(out, "linkerd-config")), values(before));
    });
  }
});

test("[HC37] upgrade takes new values over the stored ones, and stores them", async () => {
  await using cluster = await Cluster.installed(["--set", "podLabels.on=yes"]);
  const { out, err } = await cluster.run("upgrade", "--ha", "--set", "proxy.uid=5000");
  const overrides = parse(
    decoded(named(out, "linkerd-config-overrides"), "linkerd-config-overrides"),
  );
  assert.deepEqual(
    [overrides.podLabels, overrides.proxy.uid, overrides.controllerReplicas],
    [{ on: "yes" }, 5000, 3],
    err,
  );
});

test("[HC37] upgrade replaces an issuer whole, and none by halves", async () => {
  await using cluster = await Cluster.installed();
  const issuer = await newIssuer();
  const flags = issuerFlags(cluster, issuer);
  const { code, out, err } = await cluster.run("upgrade", ...flags);
  assert.equal(code, 0, err);
  assert.match(err, /‼ The trust anchors change/);
  const secret = named(out, "linkerd-identity-issuer");
  assert.equal(decoded(secret, "crt.pem"), issuer.issuerPem.trim());
  await cluster.refuses(
    ["upgrade", ...flags.slice(2, 4)],
    /^× Cannot read issuer key: it does not belong/,
  );
  await cluster.refuses(["upgrade", ...flags.slice(4)], /it does not belong/);
});

test("[HC37] upgrade to an issuer that running proxies do not trust wants --force", async () => {
  await using cluster = await Cluster.installed();
  const issuer = await newIssuer();
  const config = { namespace: "linkerd", name: "linkerd-identity-trust-roots" };
  const roots = await cluster.store.client.get(CONFIG_MAPS, config);
  const old = roots.data?.["ca-bundle.crt"] ?? "";
  await cluster.pod("shop", "web-1", `${old}\n`);
  await cluster.pod("shop", "web-2", `${old}\n${issuer.anchorsPem}`);
  assert.equal((await cluster.run("upgrade")).code, 0);
  const flags = issuerFlags(cluster, issuer);
  await cluster.refuses(
    ["upgrade", ...flags],
    /do not trust the issuer:\n\t\* shop\/web-1\n.*--force/s,
  );
  assert.equal((await cluster.run("upgrade", "--force", ...flags)).code, 0);
});

test("[HC37] upgrade with an external issuer keeps its anchors, and takes no files for it", async () => {
  const args = ["--identity-external-issuer", "--set", "identityTrustAnchorsPEM=ANCHORS"];
  await using cluster = await Cluster.installed(args);
  const { code, out, err } = await cluster.run("upgrade");
  assert.equal(code, 0, err);
  const names = objects(out).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.equal(names.includes("Secret/linkerd-identity-issuer"), false);
  assert.equal(named(out, "linkerd-identity-trust-roots").data?.["ca-bundle.crt"], "ANCHORS");
  const flags = issuerFlags(cluster, await newIssuer());
  await cluster.refuses(["upgrade", ...flags], /with an external issuer its Secret holds them/);
});

test("[HC37] upgrade --crds looks at the Gateway API as install does", async () => {
  await using cluster = await Cluster.installed();
  const { code, out, err } = await cluster.run("upgrade", "--crds");
  assert.equal(code, 0, err);
  named(out, "httproutes.gateway.networking.k8s.io");
  const off = ["upgrade", "--crds", "--set", "installGatewayAPI=false"];
  await cluster.refuses(off, /would be taken away/);
});

test("upgrade renews webhooks' certificates in the second half of their life", async () => {
  const old = String(Math.floor(Date.now() / 1000) - 183 * 86_400);
  await using cluster = await Cluster.installed([], (object) => {
    const { annotations = {} } = object.metadata;
    if (annotations["heddle.dev/made"] === undefined) return object;
    const aged = { ...annotations, "heddle.dev/made": old };
    return { ...object, metadata: { ...object.metadata, annotations: aged } };
  });
  const name = "linkerd-proxy-injector-k8s-tls";
  const { out } = await cluster.run("upgrade");
  const before = await cluster.store.client.get(SECRETS, { namespace: "linkerd", name });
  const now = decoded(named(out, name), "tls.crt");
  const then = Buffer.from(before.data?.["tls.crt"] ?? "", "base64").toString();
  assert.notEqual(now, then);
  // Pods serve with the old one for some time yet.
  const injector = named(out, "linkerd-proxy-injector-webhook-config") as WebhookConfiguration;
  const trusted = Buffer.from(injector.webhooks[0]!.clientConfig.caBundle!, "base64").toString();
  assert.equal(trusted, `${now.trim()}\n${then.trim()}`);
});

test("upgrade reads an installation from its manifests", async () => {
  await using cluster = await Cluster.installed();
  const issuer = await cluster.store.client.get(SECRETS, {
    namespace: "linkerd",
    name: "linkerd-identity-issuer",
  });
  const printed = await runInProcess(["install", "--ignore-cluster", "--crds"]);
  const { items } = await cluster.store.client.list(SECRETS, { namespace: "linkerd" });
  const maps = await cluster.store.client.list(CONFIG_MAPS, { namespace: "linkerd" });
  const all = [
    ...items.map((item) => ({ ...item, apiVersion: "v1", kind: "Secret" })),
    ...maps.items.map((item) => ({ ...item, apiVersion: "v1", kind: "ConfigMap" })),
  ];
  const path = cluster.file(
    `${printed.out}\n${all.map((item) => `---\n${JSON.stringify(item)}\n`).join("")}`,
  );
  const { code, out, err } = await runInProcess(["upgrade", "--from-manifests", path]);
  assert.equal(code, 0, err);
  assert.deepEqual(named(out, "linkerd-identity-issuer").data, issuer.data);
});

test("upgrade says what is missing: a control plane, or the Secret of one installed by Helm", async () => {
  await using cluster = await Cluster.installed();
  const secret = { namespace: "linkerd", name: "linkerd-config-overrides" };
  await cluster.store.client.delete(SECRETS, secret);
  const helm = /was not installed by command; if Helm installed it, go on with Helm/;
  await cluster.refuses(["upgrade"], helm);
  await cluster.refuses(["prune"], helm);
  await cluster.store.client.delete(CONFIG_MAPS, { namespace: "linkerd", name: "linkerd-config" });
  await cluster.refuses(["upgrade"], /has no control plane .*run heddle install/);
});

test("upgrade takes Linkerd's own control plane over when told so, with its trust", async () => {
  await using cluster = await Cluster.installed(["--set", "podLabels.on=yes"], (object) => {
    const { annotations = {} } = object.metadata;
    const theirs = { ...annotations, "linkerd.io/created-by": "linkerd/cli edge-26.8.3" };
    const stored = decoded(object, "linkerd-config-overrides");
    const release = { linkerdVersion: "edge-26.8.3", controllerImageVersion: "edge-26.8.3" };
    return {
      ...object,
      metadata: { ...object.metadata, annotations: theirs },
      ...(stored === ""
        ? {}
        : {
            data: {
              "linkerd-config-overrides": Buffer.from(
                JSON.stringify({ ...parse(stored), ...release }),
              ).toString("base64"),
            },
          }),
    };
  });
  const theirs = /another's \(by linkerd\/cli edge-26\.8\.3\); heddle upgrade --take-over/;
  await cluster.refuses(["upgrade"], theirs);
  await cluster.refuses(["prune"], /another's/);
  const { code, out, err } = await cluster.run("upgrade", "--take-over");
  assert.equal(code, 0, err);
  const ref = { namespace: "linkerd", name: "linkerd-identity-issuer" };
  const issuer = await cluster.store.client.get(SECRETS, ref);
  assert.deepEqual(named(out, ref.name).data, issuer.data);
  const values = parse(named(out, "linkerd-config").data?.["values"] ?? "");
  assert.deepEqual([values.podLabels, values.linkerdVersion], [{ on: "yes" }, "0.1.0"]);
});

test("uninstall prints what is to be deleted, unless somebody would be left alone", async () => {
  await using cluster = await Cluster.installed();
  const { client } = cluster.store;
  const labels = { "linkerd.io/control-plane-ns": "linkerd" };
  const role = resource<KubeObject>(
    "rbac.authorization.k8s.io/v1",
    "ClusterRole",
    "clusterroles",
    "Cluster",
  );
  await client.create(role, { metadata: { name: "linkerd-policy", labels } });
  await client.create(role, {
    metadata: { name: "linkerd-cni", labels: { ...labels, "linkerd.io/cni-resource": "true" } },
  });
  await cluster.pod("shop", "web", "ANCHORS");
  await cluster.refuses(["uninstall"], /these pods have a proxy of this mesh:\n\t\* shop\/web\n/);
  await client.create(NAMESPACES, {
    metadata: { name: "linkerd-viz", labels: { "linkerd.io/extension": "viz" } },
  });
  await cluster.refuses(["uninstall"], /these extensions are installed:\n\t\* linkerd-viz\n/);
  const { code, out, err } = await cluster.run("uninstall", "--force");
  assert.equal(code, 0, err);
  const printed = objects(out).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.equal(printed.includes("ClusterRole/linkerd-policy"), true);
  assert.equal(printed.includes("Namespace/linkerd"), true);
  assert.equal(printed.includes("CustomResourceDefinition/servers.policy.linkerd.io"), true);
  assert.equal(printed.includes("ClusterRole/linkerd-cni"), false);
  assert.deepEqual(Object.keys(objects(out)[0]!).sort(), ["apiVersion", "kind", "metadata"]);
});

test("uninstall finds nothing where nothing is, and that is no failure", async () => {
  await using store = await ApiStore.start();
  const kubeconfig = join(store.folder, "admin.kubeconfig");
  const { code, out, err } = await runInProcess(["uninstall", "--kubeconfig", kubeconfig]);
  assert.deepEqual([code, out, err], [0, "", "Nothing to delete was found"]);
});

test("prune prints what this release does not have, and leaves kinds of routes alone", async () => {
  await using cluster = await Cluster.installed();
  const { client } = cluster.store;
  const nothing = await cluster.run("prune");
  assert.deepEqual([nothing.code, nothing.out], [0, ""], nothing.err);
  const labels = { "linkerd.io/control-plane-ns": "linkerd" };
  const account = { name: "linkerd-heartbeat", namespace: "linkerd", labels };
  await client.create(SERVICE_ACCOUNTS, { metadata: account });
  await client.create(CONFIG_MAPS, { metadata: { name: "mine", namespace: "linkerd" } });
  const { code, out, err } = await cluster.run("prune", "-o", "json");
  assert.equal(code, 0, err);
  assert.deepEqual(JSON.parse(out), {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "linkerd-heartbeat", namespace: "linkerd" },
  });
});
