import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { KubeClient } from "@heddle/kube/client";
import { NO_CREDENTIALS } from "@heddle/kube/credentials";
import { TestKubelet } from "@heddle/kube/testing/kubelet";
import type { Pod } from "@heddle/kube/types/core";
import { AdminRoutes } from "@heddle/proxy/admin/routes";
import { startAdmin } from "@heddle/proxy/admin/server";
import { InboundMetrics } from "@heddle/proxy/inbound/metrics";
import { PortPolicies } from "@heddle/proxy/inbound/port-policies";
import { TransportFamilies } from "@heddle/proxy/tcp/transport-metrics";
import { TEST_ID, TestWorld } from "@heddle/proxy/testing/world";
import { TestCa } from "@heddle/testkit/ca";
import { containerWithPort, fetchMetrics } from "../diagnostics/pod-metrics.ts";
import { presentedCertificates } from "./presented.ts";

const NEVER = new AbortController().signal;

interface Scene extends AsyncDisposable {
  readonly client: KubeClient;
  readonly leaf: X509Certificate;
}

/** The admin port of a real proxy, behind a kubelet. */
async function stage(): Promise<Scene> {
  const ca = await TestCa.root();
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  await using parts = new AsyncDisposableStack();
  const world = parts.use(await TestWorld.start({ anchors: ca.pem, leaf }));
  const { runtime, config } = world;
  const policies = new PortPolicies(config.inbound, runtime, []);
  parts.defer(() => policies.close());
  const admin = await startAdmin({
    listen: config.adminListen,
    accept: config.inbound.accept,
    routes: new AdminRoutes({
      runtime,
      isReady: () => true,
      shutdown: undefined,
      environment: {},
      isLogOff: false,
    }),
    policies,
    metrics: new InboundMetrics(runtime.metrics),
    transport: new TransportFamilies(runtime.metrics),
    runtime,
  });
  parts.defer(() => admin.close(0));
  const kubelet = parts.use(await TestKubelet.start({ resolve: () => admin.address }));
  const server = new URL(`http://127.0.0.1:${kubelet.port}`);
  const cluster = { server, namespace: "default", tls: {}, credentials: NO_CREDENTIALS };
  const client = parts.use(new KubeClient({ cluster }));
  const all = parts.move();
  return {
    client,
    leaf: new X509Certificate(leaf.der),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function pod(localName: string | undefined, phase: "Running" | "Pending" = "Running"): Pod {
  return {
    metadata: { name: "web-0", namespace: "shop" },
    spec: {
      serviceAccountName: "web",
      initContainers: [
        {
          name: "linkerd-proxy",
          ports: [{ name: "linkerd-admin", containerPort: 4191 }],
          ...(localName === undefined
            ? {}
            : { env: [{ name: "LINKERD2_PROXY_IDENTITY_LOCAL_NAME", value: localName }] }),
        },
      ],
      containers: [{ name: "web" }],
    },
    status: { phase },
  };
}

test("our own proxy presents the certificate that it was issued", async () => {
  await using scene = await stage();
  const found = await presentedCertificates(scene.client, pod(TEST_ID), NEVER);
  assert.equal(found[0]?.fingerprint256, scene.leaf.fingerprint256);
  assert.equal(found.filter(({ ca }) => !ca).length, 1);
});

test("a proxy that has another name ends the handshake, and that is said", async () => {
  await using scene = await stage();
  const other = pod("$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local");
  await assert.rejects(presentedCertificates(scene.client, other, NEVER), {
    code: "no_certificate",
    message: /^Cannot get the certificate of pod web-0: /,
  });
});

test("a pod that does not run, or names no identity, is not asked", async () => {
  await using scene = await stage();
  await assert.rejects(presentedCertificates(scene.client, pod(TEST_ID, "Pending"), NEVER), {
    message: "Cannot ask pod web-0: it is Pending, not Running",
  });
  await assert.rejects(presentedCertificates(scene.client, pod(undefined), NEVER), {
    message: /no container has LINKERD2_PROXY_IDENTITY_LOCAL_NAME/,
  });
});

test("metrics of our own proxy come through whole", async () => {
  await using scene = await stage();
  const targets = [containerWithPort(pod(TEST_ID), "linkerd-admin")];
  const [found] = await fetchMetrics(scene.client, targets, 30_000, NEVER);
  assert.equal(found?.problem, undefined);
  assert.match(found?.metrics ?? "", /^request_total\{direction="inbound"[\s\S]*\n# EOF\n$/m);
});

test("what takes longer than one waits is told for each pod", async () => {
  await using scene = await stage();
  const targets = [containerWithPort(pod(TEST_ID), "linkerd-admin")];
  const [found] = await fetchMetrics(scene.client, targets, 0, NEVER);
  assert.deepEqual([found?.metrics, found?.problem], [undefined, "no answer in time"]);
});
