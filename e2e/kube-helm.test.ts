import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { manifestOf } from "@heddle/cli/helm/manifest";
import { createSelfSigned } from "@heddle/control/identity/bootstrap";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import {
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import { MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS } from "@heddle/kube/types/webhooks";
import { toolPath } from "../scripts/tools.ts";
import { chartFolder, helm, noHelm } from "./helm/helm.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";
import { InstalledControlPlane, OWN_IP } from "./kube/installed.ts";
import { ALLOWED, rulesOf } from "./kube/rights.ts";

const absent = KUBE_API_TOOLS.filter((name) => !existsSync(toolPath(name)));
const skip =
  absent.length > 0
    ? `not built: ${absent.join(", ")}`
    : noHelm || (OWN_IP === undefined && "this machine has no address but loopback");

const ROLES: Resource<KubeObject> = resource(
  "rbac.authorization.k8s.io/v1",
  "ClusterRole",
  "clusterroles",
  "Cluster",
);
const TLS_SECRETS = ["proxy-injector", "sp-validator", "policy-validator"].map(
  (name) => `linkerd-${name}-k8s-tls`,
);

test("the real Helm installs, upgrades and uninstalls our charts on a real API server", {
  skip,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-helm-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "kube"));
  const { kubeconfigPath } = parts.use(
    await startKubeApi(join(folder, "kube"), { "enable-aggregator-routing": "true" }),
  );
  const admin = parts.use(new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }));
  const run = (...args: readonly string[]): string => {
    const { code, out, err } = helm(folder, [...args, "-n", "mesh"], kubeconfigPath);
    assert.equal(code, 0, `helm ${args.join(" ")}\n${err}`);
    return out;
  };
  const trust = await createSelfSigned({
    controlNamespace: "mesh",
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  const values = join(folder, "values.yaml");
  writeFileSync(
    values,
    manifestOf({
      identityTrustAnchorsPEM: trust.anchorsPem,
      identity: { issuer: { tls: { crtPEM: trust.issuerPem, keyPEM: trust.issuerKeyPem } } },
    }),
  );
  const control = chartFolder("heddle-control-plane");
  const ha = join(control, "values-ha.yaml");
  const crds = chartFolder("heddle-crds");

  run("install", "crds", crds, "--create-namespace", "--set", "installGatewayAPI=true");
  run("install", "control-plane", control, "-f", values, "-f", ha);
  const installed = await InstalledControlPlane.start({
    kubeconfigPath,
    folder,
    namespace: "mesh",
  });
  assert.deepEqual(installed.refused, []);
  const clientOf = (account: string): Promise<KubeClient> => installed.clientOf(account);
  const allowed = [...ALLOWED["linkerd-identity"]!].sort();
  assert.deepEqual(await rulesOf(clientOf, "mesh", "linkerd-identity"), allowed);
  await installed[Symbol.asyncDispose]();

  const secrets = (): Promise<readonly unknown[]> =>
    Promise.all(
      TLS_SECRETS.map(async (name) => (await admin.get(SECRETS, { namespace: "mesh", name })).data),
    );
  const before = await secrets();
  run("upgrade", "control-plane", control, "-f", values, "-f", ha, "--set", "podLabels.on=yes");
  // A webhook's certificate is kept while it is young, and its configuration goes with it.
  assert.deepEqual(await secrets(), before);
  const deployment = (await admin.get<KubeObject>(DEPLOYMENTS, {
    namespace: "mesh",
    name: "linkerd-identity",
  })) as KubeObject & { readonly spec: { readonly template: KubeObject } };
  assert.equal(deployment.spec.template.metadata.labels?.["on"], "yes");
  const injector = await admin.get(MUTATING_WEBHOOKS, {
    name: "linkerd-proxy-injector-webhook-config",
  });
  const [first] = before as readonly Readonly<Record<string, string>>[];
  const trusted = Buffer.from(injector.webhooks[0]!.clientConfig.caBundle!, "base64").toString();
  assert.equal(Buffer.from(first!["tls.crt"]!, "base64").toString().trim(), trusted.trim());

  // The same release may change charts: that is how Linkerd's is taken over, and given back.
  const theirs = linkerdLike(folder, control);
  const heartbeat = async (): Promise<boolean> =>
    (await admin.find(SERVICE_ACCOUNTS, { namespace: "mesh", name: "linkerd-heartbeat" })) !==
    undefined;
  run("upgrade", "control-plane", theirs, "-f", values);
  assert.equal(await heartbeat(), true);
  run("upgrade", "control-plane", control, "-f", values);
  assert.equal(await heartbeat(), false);
  run("rollback", "control-plane");
  assert.equal(await heartbeat(), true);

  run("uninstall", "control-plane", "--wait");
  const labelSelector = "linkerd.io/control-plane-ns=mesh";
  for (const kind of [ROLES, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, SERVICE_ACCOUNTS, SECRETS]) {
    const { items } = await admin.list<KubeObject>(kind, { labelSelector });
    assert.deepEqual(items, [], kind.kind);
  }
  run("uninstall", "crds", "--wait");
  // Routes are everybody's: their kinds stay.
  const { items } = await admin.list(CUSTOM_RESOURCE_DEFINITIONS, { labelSelector });
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ["grpcroutes", "httproutes", "tcproutes", "tlsroutes"].map(
      (name) => `${name}.gateway.networking.k8s.io`,
    ),
  );
});

/** A chart of another name with what Linkerd has and we have not. */
function linkerdLike(folder: string, chart: string): string {
  const copy = join(folder, "linkerd-control-plane");
  cpSync(chart, copy, { recursive: true });
  const about = join(copy, "Chart.yaml");
  const renamed = readFileSync(about, "utf8").replace(
    "heddle-control-plane",
    "linkerd-control-plane",
  );
  writeFileSync(about, renamed);
  const account = {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      name: "linkerd-heartbeat",
      namespace: "mesh",
      labels: { "linkerd.io/control-plane-ns": "mesh" },
    },
  };
  writeFileSync(join(copy, "templates", "heartbeat.yaml"), manifestOf(account));
  return copy;
}
