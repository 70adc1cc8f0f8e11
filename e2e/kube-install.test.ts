import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { eventually } from "@heddle/cli/mesh";
import { type Control, startControl } from "@heddle/control/main";
import { controlSettings } from "@heddle/control/testing/control-host";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { ENDPOINT_SLICES, LEASES, NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import { GATEWAY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

/** What is waited for comes, or its patience is over. */
const NEVER = new AbortController().signal;

/** Runs a program to its end. @returns what it printed. */
function run(command: string, args: readonly string[], kubeconfig: string, input = ""): string {
  const env = { ...process.env, KUBECONFIG: kubeconfig };
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", input, env });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stderr}`);
  return stdout;
}

test("what `heddle install` prints is taken by a real API server, and its roles are enough, and no more", {
  skip,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-install-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const heddle = join(ROOT, "heddle");
  const kubectl = toolPath("kubectl");
  for (const args of [["install", "--crds", "--set", "installGatewayAPI=true"], ["install"]]) {
    const manifests = run(heddle, args, kubeconfigPath);
    const said = run(kubectl, ["apply", "-f", "-"], kubeconfigPath, manifests);
    assert.match(said, /created/);
  }
  const admin = parts.use(new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }));

  const token = (name: string, audiences: readonly string[]): Promise<string> =>
    requestToken(admin, { namespace: "linkerd", name }, audiences);
  /** The control plane with what its own account may do, and what it was refused. */
  const start = async (
    account: string,
    env: Readonly<Record<string, string>>,
  ): Promise<{ control: Control; refused: string[] }> => {
    const config = JSON.parse(readFileSync(kubeconfigPath, "utf8"));
    config.users[0].user = { token: await token(account, []) };
    const path = join(folder, `${account}.kubeconfig`);
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    const refused: string[] = [];
    const client = parts.use(new KubeClient({ cluster: loadKubeconfig({ paths: [path] }) }));
    const write = (line: string): void => {
      if (/forbidden/i.test(line)) refused.push(line);
    };
    const log = Log.root({ filter: "debug", uptimeMs: () => performance.now(), write });
    const settings = controlSettings({ HOSTNAME: account, ...env });
    const control = parts.use(await startControl({ settings, client, log, clock: systemClock }));
    await eventually(account, NEVER, async () => {
      const problem = control.problem();
      if (problem !== undefined) throw new Error([problem, ...refused].join("\n"));
    });
    return { control, refused };
  };

  const identity = await start("linkerd-identity", { HEDDLE_CONTROL_ROLES: "identity" });
  const { ip, port } = identity.control.addresses.identity!;
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, await token("linkerd-destination", ["identity.l5d.io"]));
  const destination = await start("linkerd-destination", {
    HEDDLE_CONTROL_ROLES: "destination,policy",
    HEDDLE_CONTROL_IDENTITY_ADDR: `${ip}:${port}`,
    HEDDLE_CONTROL_IDENTITY_TOKEN_FILE: tokenFile,
  });
  await admin.create(NAMESPACES, { metadata: { name: "shop" } });
  await admin.create(SERVICES, {
    metadata: { name: "web", namespace: "shop" },
    spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
  });
  await admin.create(EXTERNAL_WORKLOADS, {
    metadata: { name: "vm", namespace: "shop", labels: { app: "web" } },
    spec: {
      meshTLS: { identity: "spiffe://cluster.local/ns/shop/external/vm", serverName: "vm.shop" },
      workloadIPs: [{ ip: "192.0.2.1" }],
    },
  });
  await admin.create(GATEWAY_HTTP_ROUTES, {
    metadata: { name: "web", namespace: "shop" },
    spec: { parentRefs: [{ group: "", kind: "Service", name: "web", port: 80 }] },
  });
  await eventually("slices and statuses", NEVER, async () => {
    const { items } = await admin.list(ENDPOINT_SLICES, { namespace: "shop" });
    const hasSlice = items.some(({ endpoints }) => endpoints?.[0]?.addresses[0] === "192.0.2.1");
    const route = await admin.get(GATEWAY_HTTP_ROUTES, { name: "web", namespace: "shop" });
    const isJudged = (route.status?.parents ?? []).length > 0;
    assert.deepEqual([hasSlice, isJudged, destination.refused], [true, true, []]);
  });
  for (const name of ["policy-controller-write", "linkerd-destination-endpoint-write"]) {
    await eventually(`the lease ${name}`, NEVER, async () => {
      const lease = await admin.get(LEASES, { namespace: "linkerd", name });
      assert.equal(lease.spec?.holderIdentity, "linkerd-destination");
    });
  }
  for (const [account, what] of [
    ["linkerd-identity", ["list", "pods", "-A"]],
    ["linkerd-identity", ["list", "secrets", "-n", "linkerd"]],
    ["linkerd-destination", ["get", "secrets", "-A"]],
    ["linkerd-destination", ["create", "pods", "-A"]],
    ["linkerd-destination", ["update", "servers.policy.linkerd.io", "-A"]],
  ] as const) {
    const as = `--as=system:serviceaccount:linkerd:${account}`;
    const said = spawnSync(kubectl, ["auth", "can-i", ...what, as], {
      encoding: "utf8",
      env: { ...process.env, KUBECONFIG: kubeconfigPath },
    });
    assert.equal(said.stdout.trim(), "no", `${account} ${what.join(" ")} ${said.stderr}`);
  }
  assert.deepEqual([identity.refused, destination.refused], [[], []]);
});
