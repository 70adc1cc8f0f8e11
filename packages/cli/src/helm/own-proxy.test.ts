import assert from "node:assert/strict";
import { test } from "node:test";
import { createWebhookPair } from "@heddle/control/webhook/certificate";
import { initContainer, proxyContainer, validatorContainer } from "@heddle/inject/containers";
import type { Container } from "@heddle/inject/pod";
import { defaultValues, readValues, type Values } from "@heddle/inject/values";
import { stringify } from "yaml";
import { chartObjects, chartValues } from "./chart.ts";
import { overlay, setValues } from "./set-values.ts";

interface Rendered extends Container {
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}
interface Deployment {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly Rendered[];
        readonly initContainers: readonly Rendered[];
      };
    };
  };
}

const NAMESPACE = "mesh";
const hosts = ["proxy-injector", "sp-validator", "policy-validator"].map(
  (name) => `linkerd-${name}.${NAMESPACE}.svc`,
);
const certificates = new Map(
  await Promise.all(
    hosts.map(
      async (host) =>
        [host, await createWebhookPair({ type: "dns", value: host }, 0, 86_400_000)] as const,
    ),
  ),
);

function deployments(values: Record<string, unknown>): readonly Deployment[] {
  const facts = { nowMs: 0, secrets: new Map(), certificates };
  const options = { namespace: NAMESPACE, service: "CLI", values, facts } as const;
  const objects = chartObjects("heddle-control-plane", options) as Deployment[];
  return objects.filter(({ kind }) => kind === "Deployment");
}

test("the chart's values of proxies are the injector's defaults", () => {
  const version = String(chartValues("heddle-control-plane")["linkerdVersion"]);
  const text = stringify(chartValues("heddle-control-plane"));
  assert.deepEqual(readValues(text, version), defaultValues(version));
});

/** What a control plane's proxy has otherwise than others. */
function ownValues(values: Values, component: string): Values {
  const proxy = {
    ...values.proxy,
    waitBeforeExitSeconds: 0,
    defaultInboundPolicy: "all-unauthenticated",
    outboundDiscoveryCacheUnusedTimeout: "5s",
    inboundDiscoveryCacheUnusedTimeout: "90s",
    ...(component === "identity"
      ? { await: false, nativeSidecar: false, requireTLSOnInboundPorts: "8080" }
      : {}),
    ...(component === "destination" ? { requireTLSOnInboundPorts: "8086,8090" } : {}),
  };
  const proxyInit = { ...values.proxyInit, ignoreOutboundPorts: "443,6443" };
  return { ...values, proxy, proxyInit };
}

const ANCHORS = {
  name: "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS",
  valueFrom: { configMapKeyRef: { name: "linkerd-identity-trust-roots", key: "ca-bundle.crt" } },
};
/** Each asks itself, on loopback. */
const LOCAL: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  identity: { LINKERD2_PROXY_IDENTITY_SVC_ADDR: "localhost.:8080" },
  destination: {
    LINKERD2_PROXY_DESTINATION_SVC_ADDR: "localhost.:8086",
    LINKERD2_PROXY_POLICY_SVC_ADDR: "localhost.:8090",
  },
};
const SECURED = { securityContext: { capabilities: { drop: ["ALL"] } } };

for (const set of [
  "",
  "disableIPv6=false,proxy.gid=5,proxy.uid=7,identityTrustDomain=example.org",
  "cniEnabled=true,networkValidator.timeout=3s,clusterDomain=example.com",
  "proxy.nativeSidecar=false,proxy.waitBeforeExitSeconds=5,proxy.accessLog=json",
  "proxy.resources.cpu.request=1,proxy.resources.memory.limit=9Mi,proxy.runtime.workers.maximum=4,proxy.ports.inbound=1143",
  "proxy.additionalEnv[0].name=A,proxy.additionalEnv[0].value=b,proxy.shutdownGracePeriod=2s,proxy.enableExternalProfiles=true",
  "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=c:1,proxy.tracing.collector.meshIdentity.serviceAccountName=a,proxy.tracing.collector.meshIdentity.namespace=n",
  "proxyInit.iptablesMode=legacy,proxyInit.closeWaitTimeoutSecs=9,proxyInit.runAsRoot=true,proxyInit.logLevel=debug,proxyInit.skipSubnets=10.0.0.0/8,proxyInit.ignoreInboundPorts=",
  "proxy.disableInboundProtocolDetectTimeout=true,proxy.disableOutboundProtocolDetectTimeout=true,proxy.logHTTPHeaders=insecure,proxy.inbound.server.http2.keepAliveInterval=1s",
]) {
  test(`the control plane's own proxies are those of the injector: ${set || "defaults"}`, () => {
    const given = {
      identityTrustAnchorsPEM: "ANCHORS",
      identity: { issuer: { tls: { crtPEM: "a", keyPEM: "b" } } },
    };
    const values = set === "" ? given : setValues(given, set);
    const all = stringify(overlay(chartValues("heddle-control-plane"), values));
    const rendered = deployments(values);
    assert.equal(rendered.length, 3);
    for (const { metadata, spec } of rendered) {
      const component = metadata.name.replace("linkerd-", "");
      const own = ownValues(readValues(all, "0.1.0"), component);
      const { containers, initContainers } = spec.template.spec;
      const found = [...initContainers, ...containers];
      const app = containers.filter(({ name }) => name !== "linkerd-proxy");
      const pod = { spec: { containers: app.map((one) => ({ ...one, ...SECURED })) } };
      const wanted = proxyContainer(own, pod, NAMESPACE);
      const env = (wanted["env"] as { name: string; value?: string }[]).map((variable) => {
        if (variable.name === ANCHORS.name) return ANCHORS;
        const local = LOCAL[component]?.[variable.name];
        return local === undefined ? variable : { ...variable, value: local };
      });
      assert.deepEqual(
        found.find(({ name }) => name === "linkerd-proxy"),
        { ...wanted, env, ports: wanted["ports"] as object[] },
      );
      assert.deepEqual(
        initContainers[0],
        own.cniEnabled ? validatorContainer(own) : initContainer(own, pod),
      );
    }
  });
}
