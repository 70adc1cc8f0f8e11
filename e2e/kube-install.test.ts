import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { newCsr, parseKey } from "@heddle/agent/csr";
import { ExpansionClient } from "@heddle/agent/expansion-client";
import { joinMesh, loadHeldSvid } from "@heddle/agent/join";
import { StateFolder } from "@heddle/agent/state";
import { systemClock } from "@heddle/base/clock";
import { eventually } from "@heddle/cli/mesh";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import {
  ENDPOINT_SLICES,
  JOBS,
  LEASES,
  NAMESPACES,
  PODS,
  REPLICA_SETS,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import { resource } from "@heddle/kube/types/meta";
import { GATEWAY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { parseJoinToken } from "@heddle/model/join-token";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";
import { AuditLog } from "./kube/audit.ts";
import { InstalledControlPlane, OWN_IP } from "./kube/installed.ts";
import { ALLOWED, EXPANSION_ALLOWED, rulesOf, UNUSED } from "./kube/rights.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip =
  absent.length > 0
    ? `not built: ${absent.join(", ")}`
    : OWN_IP === undefined && "this machine has no address but loopback";

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;
const POLICY = "policy.linkerd.io";
const EXPANSION = "expansion.enabled=true,expansion.advertised[0]=192.0.2.1:8444";

/** Runs a program to its end. @returns what it printed. */
function run(command: string, args: readonly string[], kubeconfig: string, input = ""): string {
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", input, env });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stderr}`);
  return stdout;
}

/** A kind with whatever the test writes. */
function kind(apiVersion: string, name: string, plural: string): Resource<KubeObject> {
  return resource(apiVersion, name, plural);
}

test("what `heddle install` prints runs on a real API server, and may do what it does, and no more", {
  skip,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-install-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "kube"));
  const audit = new AuditLog(folder, "linkerd");
  const { kubeconfigPath } = parts.use(
    // Calls webhooks where their Services' slices say, for want of nodes that would route to them.
    await startKubeApi(join(folder, "kube"), {
      ...audit.flags,
      "enable-aggregator-routing": "true",
    }),
  );
  const heddle = join(ROOT, "heddle");
  const kubectl = toolPath("kubectl");
  for (const args of [
    ["install", "--crds", "--set", "installGatewayAPI=true"],
    ["install", "--set", `webhookFailurePolicy=Fail,${EXPANSION}`],
  ]) {
    const manifests = run(heddle, args, kubeconfigPath);
    const said = run(kubectl, ["apply", "-f", "-"], kubeconfigPath, manifests);
    assert.match(said, /created/);
  }
  const admin = parts.use(new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }));
  const options = { kubeconfigPath, folder, namespace: "linkerd" };
  const installed = parts.use(await InstalledControlPlane.start(options));

  await exercise(admin);
  await beMachine(kubeconfigPath, folder);
  for (const name of ["policy-controller-write", "linkerd-destination-endpoint-write"]) {
    await eventually(`the lease ${name}`, NEVER, async () => {
      const lease = await admin.get(LEASES, { namespace: "linkerd", name });
      assert.match(lease.spec?.holderIdentity ?? "", /^(?:policy|destination)$/);
    });
  }

  const all = Object.entries(ALLOWED).map(
    ([account, allowed]) =>
      [
        account,
        account === "linkerd-identity" ? [...allowed, ...EXPANSION_ALLOWED] : allowed,
      ] as const,
  );
  for (const [account, allowed] of all) {
    const clientOf = (name: string): Promise<KubeClient> => installed.clientOf(name);
    assert.deepEqual(await rulesOf(clientOf, "linkerd", account), [...allowed].sort(), account);
  }
  assert.deepEqual([...audit.uses("forbid")], []);
  // Some of it is done by timers.
  await eventually("every right is used", NEVER, async () => {
    const used = audit.uses("allow");
    for (const [account, allowed] of all) {
      const idle = allowed
        .map((right) => right.replace(/ \[.*$/, "").replace(/^\w+: /, ""))
        .filter((right) => used.get(account)?.has(right) !== true && !UNUSED.has(right));
      assert.deepEqual(idle, [], `${account} may do what it never does`);
    }
  });
  assert.deepEqual(installed.refused, []);
  await installed[Symbol.asyncDispose]();

  const upgraded = run(heddle, ["upgrade", "--set", "podLabels.on=yes"], kubeconfigPath);
  const said = run(kubectl, ["apply", "-f", "-"], kubeconfigPath, upgraded);
  assert.match(said, /deployment\.apps\/linkerd-identity configured/);
  assert.match(said, /secret\/linkerd-identity-issuer unchanged/);
  assert.match(said, /secret\/linkerd-proxy-injector-k8s-tls unchanged/);
  assert.equal(run(heddle, ["prune"], kubeconfigPath).trim(), "");

  // Without nodes nobody ends the pods, nor calls our webhooks any more.
  const list = run(heddle, ["uninstall", "--force"], kubeconfigPath);
  run(kubectl, ["delete", "-f", "-", "--wait=false"], kubeconfigPath, list);
  await eventually("nothing of ours left", NEVER, async () =>
    assert.equal(run(heddle, ["uninstall", "--force"], kubeconfigPath).trim(), ""),
  );
});

/** Makes the control plane do all that it can. */
async function exercise(admin: KubeClient): Promise<void> {
  const namespace = "shop";
  const annotations = { "linkerd.io/inject": "enabled" };
  await admin.create(NAMESPACES, { metadata: { name: namespace, annotations } });
  await eventually("the webhook", NEVER, async () => {
    await admin.delete(SERVICES, { namespace, name: "web" });
    await admin.create(SERVICES, {
      metadata: { name: "web", namespace },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
    });
  });
  const template = {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "app", image: "app:1" }] },
  };
  const sets = kind("apps/v1", "ReplicaSet", "replicasets");
  await admin.create(sets, {
    metadata: { name: "web", namespace },
    spec: { replicas: 0, selector: { matchLabels: { app: "web" } }, template },
  } as KubeObject);
  const job = { ...template, spec: { ...template.spec, restartPolicy: "Never" } };
  await admin.create(kind("batch/v1", "Job", "jobs"), {
    metadata: { name: "once", namespace },
    spec: { template: job },
  } as KubeObject);
  await eventually("the account", NEVER, () =>
    admin.get(SERVICE_ACCOUNTS, { namespace, name: "default" }),
  );
  for (const [of, name, apiVersion, owner] of [
    [REPLICA_SETS, "web", "apps/v1", "ReplicaSet"],
    [JOBS, "once", "batch/v1", "Job"],
  ] as const) {
    const { metadata } = await admin.get<KubeObject>(of, { namespace, name });
    const ownerReferences = [{ apiVersion, kind: owner, name, uid: metadata.uid ?? "" }];
    const pod = await admin.create(PODS, {
      metadata: { name: `${name}-1`, namespace, ownerReferences },
      spec: { containers: [{ name: "app", image: "app:1" } as { name: string }] },
    });
    assert.deepEqual(
      pod.spec?.initContainers?.map((container) => container.name),
      ["linkerd-init", "linkerd-proxy"],
    );
  }

  const server = { metadata: { name: "web", namespace }, spec: { podSelector: {}, port: 80 } };
  await admin.create(kind(`${POLICY}/v1beta3`, "Server", "servers"), server as KubeObject);
  const targetRef = { kind: "Pod", name: "web" };
  const policy = {
    metadata: { name: "bad", namespace },
    spec: { targetRef, requiredAuthenticationRefs: [] },
  } as KubeObject;
  await assert.rejects(
    admin.create(
      kind(`${POLICY}/v1alpha1`, "AuthorizationPolicy", "authorizationpolicies"),
      policy,
    ),
    /linkerd-policy-validator\.linkerd\.io/,
  );
  const profile = {
    metadata: { name: "no-name", namespace },
    spec: { routes: [{ name: "r", condition: { method: "GET" }, timeout: "soon" }] },
  } as KubeObject;
  await assert.rejects(
    admin.create(kind("linkerd.io/v1alpha2", "ServiceProfile", "serviceprofiles"), profile),
    /linkerd-sp-validator\.linkerd\.io/,
  );

  const machine = { namespace, name: "vm" };
  await admin.create(EXTERNAL_WORKLOADS, {
    metadata: { ...machine, labels: { app: "web" } },
    spec: {
      meshTLS: { identity: "spiffe://cluster.local/ns/shop/external/vm", serverName: "vm.shop" },
      workloadIPs: [{ ip: "192.0.2.1" }],
    },
  });
  const hasSlice = async (ip: string): Promise<boolean> => {
    const { items } = await admin.list(ENDPOINT_SLICES, { namespace });
    return items.some(({ endpoints }) => endpoints?.some(({ addresses }) => addresses[0] === ip));
  };
  await eventually("the machine's slice", NEVER, async () =>
    assert.equal(await hasSlice("192.0.2.1"), true),
  );
  const moved = { spec: { workloadIPs: [{ ip: "192.0.2.2" }] } };
  await admin.patch(EXTERNAL_WORKLOADS, machine, { type: "merge", body: moved });
  await eventually("the slice of the machine that moved", NEVER, async () =>
    assert.equal(await hasSlice("192.0.2.2"), true),
  );
  await admin.delete(EXTERNAL_WORKLOADS, machine);
  await eventually("no slice of the machine that left", NEVER, async () =>
    assert.equal(await hasSlice("192.0.2.2"), false),
  );
  await judge(admin, namespace);
}

/** A machine joins, reports, renews its certificate and leaves. */
async function beMachine(kubeconfig: string, folder: string): Promise<void> {
  const heddle = join(ROOT, "heddle");
  const [text = ""] = run(heddle, ["invite", "--name", "edge", "-n", "shop"], kubeconfig).split(
    "\n",
  );
  const state = new StateFolder(join(folder, "machine"));
  const membership = await joinMesh({
    token: parseJoinToken(text),
    state,
    ip: OWN_IP!,
    mode: "rootless",
    listeners: [],
    allowBypass: true,
    loopbackMesh: "",
    clock: systemClock,
    signal: NEVER,
  });
  const svid = loadHeldSvid(state, membership);
  const client = new ExpansionClient(membership.expansion, () => svid, { timeoutMs: 10_000 });
  await client.report(true, "up");
  await client.report(true, "still up");
  const csr = await newCsr(parseKey(readFileSync(state.key, "utf8")), {
    type: "url",
    value: membership.spiffeId,
  });
  await client.renew(csr);
  await client.leave();
}

/** Everything that has a status of ours gets one. */
async function judge(admin: KubeClient, namespace: string): Promise<void> {
  const service = [{ group: "", kind: "Service", name: "web", port: 80 }];
  const target = { group: POLICY, kind: "Server", name: "web" };
  const all: readonly (readonly [Resource<KubeObject>, string, object])[] = [
    [GATEWAY_HTTP_ROUTES, "web", { parentRefs: service }],
    [
      kind("gateway.networking.k8s.io/v1", "GRPCRoute", "grpcroutes"),
      "web",
      { parentRefs: service },
    ],
    [
      kind(`${POLICY}/v1beta3`, "HTTPRoute", "httproutes"),
      "web",
      { parentRefs: [target], rules: [{}] },
    ],
    [
      kind(`${POLICY}/v1alpha1`, "HTTPLocalRateLimitPolicy", "httplocalratelimitpolicies"),
      "web",
      { targetRef: target, total: { requestsPerSecond: 10 } },
    ],
    [
      kind(`${POLICY}/v1alpha1`, "EgressNetwork", "egressnetworks"),
      "out",
      { trafficPolicy: "Allow" },
    ],
    [
      kind(`${POLICY}/v1alpha1`, "AuthorizationPolicy", "authorizationpolicies"),
      "web",
      { targetRef: target, requiredAuthenticationRefs: [] },
    ],
  ];
  for (const [of, name, spec] of all) {
    await admin.create(of, { metadata: { name, namespace }, spec } as KubeObject);
  }
  for (const [of, name] of all) {
    await eventually(`a status of ${of.kind}`, NEVER, async () => {
      const { status } = (await admin.get(of, { namespace, name })) as { status?: object };
      assert.notEqual(status, undefined);
    });
  }
}
