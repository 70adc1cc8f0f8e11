import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ChartName, chartObjects, chartValues } from "@heddle/cli/helm/chart";
import { manifestOf } from "@heddle/cli/helm/manifest";
import { overlay, setValues, type Values } from "@heddle/cli/helm/set-values";
import { overridesOf } from "@heddle/cli/install/overrides";
import { flatObjects } from "@heddle/cli/testing/flat-objects";
import { chartFolder, helm, noHelm } from "./helm/helm.ts";

const skip = noHelm;

/** Enough for the chart; whether it is a certificate is for others to judge. */
const TRUST = {
  identityTrustAnchorsPEM: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  identity: { issuer: { tls: { crtPEM: "CERTIFICATE\n", keyPEM: "KEY\n" } } },
};

interface Case {
  readonly name: string;
  readonly chart?: ChartName;
  readonly namespace?: string;
  readonly files?: readonly string[];
  readonly set?: string;
}

const CASES: readonly Case[] = [
  { name: "defaults" },
  { name: "high availability", files: ["values-ha.yaml"] },
  { name: "an external issuer", set: "identity.issuer.scheme=kubernetes.io/tls" },
  { name: "an external authority", set: "identity.externalCA=true" },
  { name: "the CNI plugin", set: "cniEnabled=true,disableIPv6=false" },
  {
    name: "names of one's own",
    namespace: "mesh",
    set: "clusterDomain=example.com,identityTrustDomain=trust.example.com,commonLabels.team=a,podLabels.on=yes,podAnnotations.asm=3,priorityClassName=high,runtimeClassName=kata,imagePullSecrets[0].name=pull,proxy.gid=9,controllerGID=8,proxyInit.ignoreInboundPorts=25",
  },
  { name: "regular sidecars", set: "proxy.nativeSidecar=false,proxy.waitBeforeExitSeconds=3" },
  {
    name: "everything that is optional",
    set: "podMonitor.enabled=true,podMonitor.labels.release=prom,expansion.enabled=true,expansion.advertised[0]=192.0.2.1:8444,enablePodDisruptionBudget=true,configReaders[0].kind=ServiceAccount,configReaders[0].name=r,configReaders[0].namespace=n,tolerations[0].operator=Exists,destinationController.additionalEnv[0].name=A,destinationController.additionalEnv[0].value=b",
  },
  {
    name: "tracing",
    set: "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=c:4317,proxy.tracing.collector.meshIdentity.serviceAccountName=c,proxy.tracing.collector.meshIdentity.namespace=n",
  },
  {
    name: "webhooks' certificates of others",
    set: "proxyInjector.externalSecret=true,proxyInjector.injectCaFrom=n/c,profileValidator.crtPEM=CRT,profileValidator.keyPEM=KEY,policyValidator.externalSecret=true,policyValidator.caBundle=CA",
  },
  {
    name: "defaults taken away",
    set: "cniEnabled=true,networkValidator.securityContext.runAsGroup=null,proxy.accessLog=null",
  },
  { name: "the resources", chart: "heddle-crds" },
  {
    name: "the resources with the Gateway API",
    chart: "heddle-crds",
    namespace: "mesh",
    set: "installGatewayAPI=true",
  },
  {
    name: "the resources with some routes of the Gateway API",
    chart: "heddle-crds",
    set: "installGatewayAPI=true,enableHttpRoutes=false,enableTcpRoutes=false",
  },
];

for (const {
  name,
  chart = "heddle-control-plane",
  namespace = "linkerd",
  files = [],
  set = "",
} of CASES) {
  test(`Helm renders what we render, with ${name}`, { skip }, () => {
    const home = mkdtempSync(join(tmpdir(), "heddle-helm-"));
    try {
      let values: Values = chart === "heddle-crds" ? {} : structuredClone(TRUST);
      writeFileSync(join(home, "values.yaml"), manifestOf(values));
      const paths = files.map((file) => join(chartFolder(chart), file));
      const given = [...paths, join(home, "values.yaml")].flatMap((path) => ["-f", path]);
      const flags = set === "" ? [] : ["--set", set];
      const { code, out, err } = helm(home, [
        ...["template", chart, chartFolder(chart), "-n", namespace],
        ...given,
        ...flags,
      ]);
      assert.equal(code, 0, err);
      const over = files.reduce<Values>((all, file) => overlay(all, chartValues(chart, file)), {});
      const base = chartValues(chart);
      values = overlay(overlay(base, over), values);
      if (set !== "") values = setValues(values, set);
      const ours = chartObjects(chart, {
        namespace,
        service: "Helm",
        values: overridesOf(values, base),
        facts: {
          nowMs: 0,
          secrets: new Map(),
          certificates: new Map(
            ["proxy-injector", "sp-validator", "policy-validator"].map((webhook) => [
              `linkerd-${webhook}.${namespace}.svc`,
              { certificate: "C", key: "K" },
            ]),
          ),
        },
      });
      assert.deepEqual(leaves(out), leaves(ours.map((one) => `---\n${manifestOf(one)}`).join("")));
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
}

/** Certificates and the time are made anew by each. */
function leaves(manifest: string): readonly (readonly [string, string])[] {
  const made = /^Secret\/linkerd-.*-k8s-tls\.(?:data\.|metadata\.annotations\.heddle)|\.caBundle$/;
  return [...flatObjects(manifest)]
    .map(([path, value]) => [path, made.test(path) ? "made" : value] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

for (const chart of ["heddle-crds", "heddle-control-plane"] as const) {
  test(`Helm finds no fault with ${chart}`, { skip }, () => {
    const home = mkdtempSync(join(tmpdir(), "heddle-helm-"));
    try {
      const path = join(home, "values.yaml");
      writeFileSync(path, chart === "heddle-crds" ? "" : manifestOf(TRUST));
      for (const more of [
        [],
        ["-f", join(chartFolder("heddle-control-plane"), "values-ha.yaml")],
      ]) {
        if (chart === "heddle-crds" && more.length > 0) continue;
        const { code, out, err } = helm(home, [
          "lint",
          "--strict",
          chartFolder(chart),
          "-f",
          path,
          ...more,
        ]);
        assert.equal(code, 0, out + err);
      }
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
}

for (const [set, ours] of [
  ["controllerReplica=3", /controllerReplica/],
  ["controllerReplicas=many", /controllerReplicas/],
  ["proxy.defaultInboundPolicy=open", /defaultInboundPolicy/],
  ["enablePprof=true", /we have no pprof/],
  ["identityTrustAnchorsPEM=", /set identityTrustAnchorsPEM/],
  ["proxyInjector.externalSecret=true", /externalSecret needs caBundle/],
] as const) {
  test(`Helm refuses ${set} too`, { skip }, () => {
    const home = mkdtempSync(join(tmpdir(), "heddle-helm-"));
    try {
      writeFileSync(join(home, "values.yaml"), manifestOf(TRUST));
      const chart = chartFolder("heddle-control-plane");
      const args = ["template", "x", chart, "-f", join(home, "values.yaml"), "--set", set];
      const { code, err } = helm(home, args);
      assert.notEqual(code, 0);
      assert.match(err, ours);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
}
