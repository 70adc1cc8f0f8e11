import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(command: string, args: readonly string[], kubeconfig: string, input = ""): Run {
  const env = { ...process.env, KUBECONFIG: kubeconfig, NO_COLOR: "1" };
  return spawnSync(command, args, { encoding: "utf8", input, env });
}

test("check judges a real API server before installation, and what may be done there", {
  skip,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-check-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const heddle = join(ROOT, "heddle");
  const check = (kubeconfig: string, ...args: readonly string[]): Run =>
    run(heddle, ["check", ...args, "--wait", "0s"], kubeconfig);

  const early = check(kubeconfigPath, "--pre");
  assert.equal(early.status, 1, early.stderr);
  assert.match(early.stdout, /\u00d7 Gateway API CRDs are installed\n/);
  // What it advises is enough.
  const flags = ["install", "--crds", "--set", "installGatewayAPI=true", "--ignore-cluster"];
  const manifests = run(heddle, flags, kubeconfigPath).stdout;
  const applied = run(toolPath("kubectl"), ["apply", "-f", "-"], kubeconfigPath, manifests);
  assert.equal(applied.status, 0, applied.stderr);

  for (const mode of ["--pre", "--crds"]) {
    const { status, stdout, stderr } = check(kubeconfigPath, mode);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /[\u00d7\u203c]/);
    assert.match(stdout, /\n\nStatus check results are \u221a\n$/);
  }
  const after = check(kubeconfigPath);
  assert.match(after.stdout, /\u00d7 'linkerd-config' config map exists\n/);

  // An account that may look at definitions, and at nothing else.
  using admin = new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) });
  const account = { namespace: "default", name: "default" };
  for (const args of [
    ["create", "clusterrole", "looker", "--verb=get,list", "--resource=crd,deployments,nodes"],
    ["create", "clusterrolebinding", "looker", "--clusterrole=looker"],
  ]) {
    const subject = args[1] === "clusterrole" ? [] : ["--serviceaccount=default:default"];
    const made = run(toolPath("kubectl"), [...args, ...subject], kubeconfigPath);
    assert.equal(made.status, 0, made.stderr);
  }
  const config = JSON.parse(readFileSync(kubeconfigPath, "utf8"));
  config.users[0].user = { token: await requestToken(admin, account, []) };
  const limited = join(folder, "limited.kubeconfig");
  writeFileSync(limited, JSON.stringify(config), { mode: 0o600 });
  const { status, stdout } = check(limited, "--pre", "-o", "json");
  assert.equal(status, 1);
  const { success, categories } = JSON.parse(stdout);
  assert.equal(success, false);
  const failed = categories
    .flatMap(({ checks }: { checks: readonly { description: string; result: string }[] }) => checks)
    .filter(({ result }: { result: string }) => result === "error")
    .map(({ description }: { description: string }) => description);
  const kinds = ["ServiceAccounts", "Services", "Deployments", "CronJobs", "ConfigMaps", "Secrets"];
  assert.deepEqual(failed, [
    "control plane namespace does not already exist",
    "can create non-namespaced resources",
    ...kinds.map((kind) => `can create ${kind}`),
    "can read Secrets",
    "can read extension-apiserver-authentication configmap",
  ]);
});
