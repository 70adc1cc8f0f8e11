import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually } from "@heddle/cli/mesh";
import { type CliRun, runInProcess } from "@heddle/cli/testing/run";
import { installDefinitions } from "@heddle/control/crds/install";
import { startControl } from "@heddle/control/main";
import { controlSettings } from "@heddle/control/testing/control-host";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { type PodPort, TestKubelet } from "@heddle/kube/testing/kubelet";
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  NODES,
  type Node,
  PODS,
  type Pod,
  SERVICE_ACCOUNTS,
  SERVICES,
} from "@heddle/kube/types/core";
import { TestCa } from "@heddle/testkit/ca";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = KUBE_API_TOOLS.filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;
const WEB_ID = "default.shop.serviceaccount.identity.linkerd.cluster.local";

interface PodForm {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly containers: readonly object[];
}

/** A node that is nothing but the kubelet's address, and pods that run on it as far as the API knows. */
async function addNode(client: KubeClient, kubeletPort: number): Promise<void> {
  const status = {
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
  };
  const made = await client.create(NODES, { metadata: { name: "node-a" } });
  await client.update(NODES, { ...made, status } as Node, { subresource: "status" });
}

async function addPod(client: KubeClient, form: PodForm): Promise<void> {
  const { namespace, name, labels = {}, containers } = form;
  const account = { namespace, name: "default" };
  await eventually("the account", NEVER, () => client.get(SERVICE_ACCOUNTS, account));
  const made = await client.create(PODS, {
    metadata: { namespace, name, labels },
    spec: { nodeName: "node-a", containers },
  } as Pod);
  const status = { phase: "Running", podIP: "10.9.0.1", podIPs: [{ ip: "10.9.0.1" }] } as const;
  await client.update(PODS, { ...made, status }, { subresource: "status" });
}

const SIDECAR = {
  name: "linkerd-proxy",
  image: "proxy",
  ports: [{ name: "linkerd-admin", containerPort: 4191 }],
  env: [
    {
      name: "LINKERD2_PROXY_IDENTITY_LOCAL_NAME",
      value: "$(_pod_sa).$(_pod_ns).serviceaccount.identity.linkerd.cluster.local",
    },
  ],
};

/** The metrics of one pod, which say whose they are. */
async function metricsServer(pod: string): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    response.statusCode = request.url === "/metrics" ? 200 : 404;
    response.end(`up{pod="${pod}",authority="web.shop:80"} 1\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as AddressInfo).port;
}

test("diagnostics and identity reach pods through a real API server, as far as one may", {
  skip,
}, async (context) => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-diagnostics-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const client = parts.use(
    new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }),
  );
  await installDefinitions(client);
  for (const name of ["linkerd", "shop"]) await client.create(NAMESPACES, { metadata: { name } });

  const settings = controlSettings({
    HEDDLE_CONTROL_ROLES: "identity,destination,policy",
  });
  const control = parts.use(
    await startControl({ settings, client, log: Log.silent(), clock: systemClock }),
  );
  const ca = await TestCa.root();
  // With what is between them, as proxies present it; the command shows the leaf only.
  const below = await ca.intermediate();
  const leaf = await below.leaf({ sans: [{ dns: WEB_ID }] });
  const names: string[] = [];
  const proxy = tls.createServer({
    key: leaf.keyPem,
    cert: leaf.chainPem,
    SNICallback: (name, done) => {
      names.push(name);
      done(null);
    },
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  parts.defer(() => void proxy.close());
  const servers = new Map<string, http.Server>();
  for (const pod of ["linkerd-destination-1", "web-0", "web-1"]) {
    const server = await metricsServer(pod);
    parts.defer(() => void server.close());
    servers.set(pod, server);
  }
  const resolve = ({ pod, port }: PodPort) => {
    if (port === 8086) return control.addresses.destination!;
    if (port === 8090) return control.addresses.policy!;
    if (pod === "meshed") return { ip: "127.0.0.1", port: portOf(proxy) };
    const server = servers.get(pod);
    return server === undefined
      ? `container of ${pod} is gone`
      : { ip: "127.0.0.1", port: portOf(server) };
  };
  const own = await ca.leaf({ commonName: "node-a", sans: [{ ip: "127.0.0.1" }] });
  const kubelet = parts.use(
    await TestKubelet.start({ tls: { key: own.keyPem, cert: own.chainPem }, resolve }),
  );
  await addNode(client, kubelet.port);
  const app = { name: "app", image: "app" };
  const namespace = "shop";
  await addPod(client, {
    namespace: "linkerd",
    name: "linkerd-destination-1",
    labels: { "linkerd.io/control-plane-component": "destination" },
    containers: [{ ...app, ports: [{ name: "dest-admin", containerPort: 9996 }] }, SIDECAR],
  });
  await addPod(client, { namespace, name: "web-0", containers: [app, SIDECAR] });
  await addPod(client, { namespace, name: "web-1", containers: [app, SIDECAR] });
  await addPod(client, { namespace, name: "gone", containers: [app, SIDECAR] });
  await addPod(client, { namespace, name: "meshed", containers: [app, SIDECAR] });
  await addPod(client, { namespace, name: "plain", containers: [app] });

  const run = (...args: readonly string[]): Promise<CliRun> =>
    runInProcess([...args, "--kubeconfig", kubeconfigPath]);

  await context.test("endpoints and profiles come from a running destination pod", async () => {
    await client.create(SERVICES, {
      metadata: { namespace, name: "web" },
      spec: { ports: [{ port: 80 }] },
    });
    await client.create(ENDPOINT_SLICES, {
      metadata: { namespace, name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
      addressType: "IPv4",
      ports: [{ port: 8080 }],
      endpoints: [{ addresses: ["10.9.9.9"], conditions: { ready: true } }],
    });
    const name = "web.shop.svc.cluster.local:80";
    await eventually("the profile", NEVER, async () => {
      const { code, out, err } = await run("diagnostics", "profile", name);
      assert.equal(code, 0, err);
      assert.match(out, /"fully_qualified_name": "web\.shop\.svc\.cluster\.local"/);
    });
    const { out, err } = await run("diagnostics", "endpoints", name);
    assert.deepEqual(
      out.split("\n").map((line) => line.trim().split(/ +/)),
      [
        ["NAMESPACE", "IP", "PORT", "POD", "SERVICE"],
        ["shop", "10.9.9.9", "8080", "web.shop"],
      ],
      err,
    );
    const policy = await run("diagnostics", "policy", "-n", "shop", "svc/web", "80");
    assert.equal(policy.code, 0, policy.err);
    assert.match(policy.out, /name: web/);
  });

  await context.test(
    "metrics of proxies, obfuscated where asked, and why there are none",
    async () => {
      const plain = await run("diagnostics", "proxy-metrics", "-n", "shop", "po/web-0");
      assert.equal(
        plain.out,
        '#\n# POD web-0 (1 of 1)\n#\nup{pod="web-0",authority="web.shop:80"} 1',
      );
      const hidden = await run("dg", "proxy-metrics", "--obfuscate", "-n", "shop", "po/web-1");
      assert.match(hidden.out, /up\{pod="web-1",authority="[0-9a-f]{8}"\} 1/);
      const gone = await run("dg", "proxy-metrics", "-n", "shop", "po/gone");
      assert.match(gone.out, /^#\n# POD gone \(1 of 1\)\n#\n# ERROR .*container of gone is gone$/);
      const without = await run("dg", "proxy-metrics", "-n", "shop", "po/plain");
      assert.equal(without.code, 1);
      assert.match(without.err, /Cannot find port linkerd-admin of pod plain: no container has it/);
    },
  );

  await context.test("metrics of every admin port of the control plane", async () => {
    const { code, out } = await run("diagnostics", "controller-metrics", "-w", "20s");
    assert.equal(code, 0);
    const head = (index: number, container: string) =>
      `#\n# POD linkerd-destination-1 (${index} of 2)\n# CONTAINER ${container} \n#\n`;
    const metrics = 'up{pod="linkerd-destination-1",authority="web.shop:80"} 1';
    assert.equal(out, `${head(1, "app")}${metrics}\n${head(2, "linkerd-proxy")}${metrics}`);
  });

  await context.test("identity shows the leaf that a proxy presents for its own name", async () => {
    const { code, out, err } = await run("identity", "-n", "shop", "meshed");
    assert.deepEqual([code, err], [0, ""]);
    assert.match(out, /^\nPOD meshed \(1 of 1\)\n\nCertificate:\n/);
    assert.match(out, new RegExp(`DNS:${WEB_ID}`));
    assert.equal(out.match(/^Certificate:/gm)?.length, 1);
    assert.deepEqual(names, [WEB_ID]);
    const plain = await run("identity", "-n", "shop", "plain", "meshed");
    assert.deepEqual([plain.code, names.length], [0, 1]);
    assert.match(plain.err, /Cannot find port linkerd-admin of pod plain/);
    const none = await run("identity", "-n", "shop", "-l", "app=nobody");
    assert.deepEqual([none.code, none.out], [0, ""]);
    assert.match(none.err, /No certificate could be fetched/);
    assert.equal((await run("identity", "-n", "shop")).code, 2);
  });

  await context.test("who may not forward ports is told so", async () => {
    const config = JSON.parse(readFileSync(kubeconfigPath, "utf8"));
    const token = await requestToken(client, { namespace: "shop", name: "default" }, []);
    config.users[0].user = { token };
    const path = join(folder, "shop.kubeconfig");
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    const { code, err } = await runInProcess([
      ...["diagnostics", "profile", "--destination-pod", "linkerd-destination-1"],
      ...["--kubeconfig", path, "web.shop.svc.cluster.local:80"],
    ]);
    assert.equal(code, 1);
    assert.match(err, /forward port 8086 of pods linkerd\/linkerd-destination-1: 403 Forbidden/);
    const as = ["--as", "jo", "--as-group", "cooks", "--as-group", "system:authenticated"];
    for (const words of [
      ["authz", "-n", "shop", "po/web-0"],
      ["identity", "-n", "shop", "meshed"],
    ]) {
      const refused = await run(...words, ...as);
      assert.match(refused.err, /403 Forbidden: .*User "jo" cannot/);
    }
  });
});
