import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type CheckMode, categoriesOf } from "./modes.ts";

/** Linkerd's own checks, in its order: anchor, F fatal, W warning, R retried, description. */
const LINKERD = `
kubernetes-api
k8s-api F can initialize the client
k8s-api F can query the Kubernetes API
kubernetes-version
k8s-version - is running the minimum Kubernetes API version
gateway-api-crd
gateway-api-crd F Gateway API CRDs are installed
pre-kubernetes-setup
pre-ns - control plane namespace does not already exist
pre-k8s-cluster-k8s - can create non-namespaced resources
pre-k8s - can create ServiceAccounts
pre-k8s - can create Services
pre-k8s - can create Deployments
pre-k8s - can create CronJobs
pre-k8s - can create ConfigMaps
pre-k8s - can create Secrets
pre-k8s - can read Secrets
pre-k8s - can read extension-apiserver-authentication configmap
pre-k8s-clock-skew W no clock skew detected
linkerd-crd
l5d-existence-crd FR control plane CustomResourceDefinitions exist
linkerd-existence
l5d-existence-linkerd-config F 'linkerd-config' config map exists
l5d-existence-sa F heartbeat ServiceAccount exist
l5d-existence-replicasets FR control plane replica sets are ready
l5d-existence-unschedulable-pods WR no unschedulable pods
l5d-api-control-ready FR control plane pods are ready
l5d-cluster-networks-cidr - cluster networks contains all node podCIDRs
l5d-cluster-networks-pods - cluster networks contains all pods
l5d-cluster-networks-pods - cluster networks contains all services
linkerd-config
l5d-existence-ns F control plane Namespace exists
l5d-existence-cr F control plane ClusterRoles exist
l5d-existence-crb F control plane ClusterRoleBindings exist
l5d-existence-sa F control plane ServiceAccounts exist
l5d-existence-crd F control plane CustomResourceDefinitions exist
l5d-existence-mwc F control plane MutatingWebhookConfigurations exist
l5d-existence-vwc F control plane ValidatingWebhookConfigurations exist
l5d-proxy-init-run-as-root - proxy-init container runs as root user if docker container runtime is used
linkerd-cni-plugin
cni-plugin-cm-exists F cni plugin ConfigMap exists
cni-plugin-cr-exists F cni plugin ClusterRole exists
cni-plugin-crb-exists F cni plugin ClusterRoleBinding exists
cni-plugin-sa-exists F cni plugin ServiceAccount exists
cni-plugin-ds-exists F cni plugin DaemonSet exists
cni-plugin-ready FR cni plugin pod is running on all nodes
linkerd-identity
l5d-identity-cert-config-valid F certificate config is valid
l5d-identity-trustAnchors-use-supported-crypto F trust anchors are using supported crypto algorithm
l5d-identity-trustAnchors-are-time-valid F trust anchors are within their validity period
l5d-identity-trustAnchors-not-expiring-soon W trust anchors are valid for at least 60 days
l5d-identity-issuer-cert-uses-supported-crypto F issuer cert is using supported crypto algorithm
l5d-identity-issuer-cert-is-time-valid F issuer cert is within its validity period
l5d-identity-issuer-cert-not-expiring-soon W issuer cert is valid for at least 60 days
l5d-identity-issuer-cert-issued-by-trust-anchor - issuer cert is issued by the trust anchor
linkerd-webhooks-and-apisvc-tls
l5d-proxy-injector-webhook-cert-valid F proxy-injector webhook has valid cert
l5d-proxy-injector-webhook-cert-not-expiring-soon W proxy-injector cert is valid for at least 60 days
l5d-sp-validator-webhook-cert-valid F sp-validator webhook has valid cert
l5d-sp-validator-webhook-cert-not-expiring-soon W sp-validator cert is valid for at least 60 days
l5d-policy-validator-webhook-cert-valid F policy-validator webhook has valid cert
l5d-policy-validator-webhook-cert-not-expiring-soon W policy-validator cert is valid for at least 60 days
linkerd-identity-data-plane
l5d-identity-data-plane-proxies-certs-match-ca W data plane proxies certificate match CA
linkerd-version
l5d-version-latest W can determine the latest version
l5d-version-cli W cli is up-to-date
control-plane-version
l5d-version-control FR can retrieve the control plane version
l5d-version-control W control plane is up-to-date
l5d-version-control W control plane and cli versions match
linkerd-control-plane-proxy
l5d-cp-proxy-healthy FR control plane proxies are healthy
l5d-cp-proxy-version W control plane proxies are up-to-date
l5d-cp-proxy-cli-version W control plane proxies and cli versions match
linkerd-data-plane
l5d-data-plane-exists F data plane namespace exists
l5d-data-plane-ready FR data plane proxies are ready
l5d-data-plane-version W data plane is up-to-date
l5d-data-plane-cli-version W data plane and cli versions match
l5d-data-plane-pod-labels W data plane pod labels are configured correctly
l5d-data-plane-services-labels W data plane service labels are configured correctly
l5d-data-plane-services-annotations W data plane service annotations are configured correctly
linkerd-opaque-ports-definition W opaque ports are properly annotated
linkerd-ha-checks
l5d-control-plane-replicas WR multiple replicas of control plane pods
linkerd-extension-checks
l5d-extension-namespaces W namespace configuration for extensions
`;

const ALL: readonly CheckMode[] = ["pre-cni", "crds", "proxy", "mesh"];

/** The lines of Linkerd's list that belong to these categories. */
function linesOf(names: readonly string[]): readonly string[] {
  let isWanted = false;
  return LINKERD.trim()
    .split("\n")
    .filter((line) => {
      if (!line.includes(" ")) isWanted = names.includes(line);
      return isWanted;
    });
}

/** Our categories as such lines, without those of our own. */
function linesIn(mode: CheckMode): readonly string[] {
  return categoriesOf(mode)
    .filter(({ name }) => !name.startsWith("heddle-"))
    .flatMap(({ name, checks }) => [
      name,
      ...checks.map(({ anchor, description, isFatal, isWarning, isRetried }) => {
        const kind = `${isFatal ? "F" : ""}${isWarning ? "W" : ""}${isRetried ? "R" : ""}` || "-";
        return `${anchor} ${kind} ${description}`;
      }),
    ]);
}

const ALWAYS = ["kubernetes-api", "kubernetes-version", "gateway-api-crd", "linkerd-version"];
const MESH = [
  ...ALWAYS,
  "linkerd-existence",
  "linkerd-config",
  "linkerd-cni-plugin",
  "linkerd-identity",
  "linkerd-webhooks-and-apisvc-tls",
  "linkerd-control-plane-proxy",
  "linkerd-ha-checks",
];

for (const [mode, names] of [
  ["pre", [...ALWAYS, "pre-kubernetes-setup"]],
  ["pre-cni", [...ALWAYS, "pre-kubernetes-setup", "linkerd-cni-plugin"]],
  ["crds", [...ALWAYS, "linkerd-crd"]],
  ["mesh", [...MESH, "control-plane-version", "linkerd-extension-checks"]],
  ["proxy", [...MESH, "linkerd-identity-data-plane", "linkerd-data-plane"]],
] as const) {
  test(`the checks of mode ${mode} are Linkerd's, in its words, order and severity`, () => {
    assert.deepEqual(linesIn(mode), linesOf(names));
  });
}

test("docs/checks.md explains every check under its anchor", () => {
  const path = join(import.meta.dirname, "..", "..", "..", "..", "docs", "checks.md");
  const text = readFileSync(path, "utf8");
  const checks = ALL.flatMap((mode) => categoriesOf(mode).flatMap(({ checks }) => checks));
  for (const anchor of [...checks.map((check) => check.anchor), "extensions"]) {
    assert.ok(text.includes(`<a id="${anchor}"></a>`), anchor);
  }
});
