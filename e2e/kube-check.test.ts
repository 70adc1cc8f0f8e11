import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { requestToken } from "@heddle/kube/account-token";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { type ContainerStatus, PODS } from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
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

interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
}

interface Deployment extends KubeObject {
  readonly spec: {
    readonly template: {
      readonly metadata: KubeObject["metadata"];
      readonly spec: {
        readonly containers: readonly Container[];
        readonly initContainers?: readonly Container[];
      };
    };
  };
}

const DEPLOYMENTS: Resource<Deployment> = resource("apps/v1", "Deployment", "deployments");

/** Makes the pod of a Deployment, which without nodes nobody does, and says that all of it runs. */
async function pretendRunning(client: KubeClient, deployment: Deployment): Promise<void> {
  const { metadata, spec } = deployment.spec.template;
  const pod = await client.create(PODS, {
    metadata: {
      ...metadata,
      name: `${deployment.metadata.name}-6d5f8b7c9-abcde`,
      namespace: deployment.metadata.namespace!,
    },
    spec,
  });
  const running = ({ name, image }: Container): ContainerStatus => ({
    ...{ name, image, imageID: "", restartCount: 0, ready: true, started: true },
    state: { running: {} },
  });
  const ended = ({ name, image }: Container): ContainerStatus => ({
    ...{ name, image, imageID: "", restartCount: 0, ready: true },
    state: { terminated: { exitCode: 0, reason: "Completed" } },
  });
  const status = {
    phase: "Running" as const,
    podIP: "10.1.2.3",
    containerStatuses: spec.containers.map(running),
    initContainerStatuses: (spec.initContainers ?? []).map((one) =>
      one.restartPolicy === "Always" ? running(one) : ended(one),
    ),
  };
  await client.update(PODS, { ...pod, status }, { subresource: "status" });
}

const INJECTOR = join(ROOT, "charts", "heddle-control-plane", "templates", "proxy-injector.yaml");
const incomplete = !existsSync(INJECTOR) && "the chart has no injector yet";

test("check finds nothing wrong with what install prints, once its pods run", {
  skip: skip || incomplete,
}, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-check-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const heddle = join(ROOT, "heddle");
  for (const args of [["install", "--crds", "--set", "installGatewayAPI=true"], ["install"]]) {
    const { stdout, stderr, status } = run(heddle, args, kubeconfigPath);
    assert.equal(status, 0, stderr);
    const applied = run(toolPath("kubectl"), ["apply", "-f", "-"], kubeconfigPath, stdout);
    assert.equal(applied.status, 0, applied.stderr);
  }
  const check = (...args: readonly string[]): Run =>
    run(heddle, ["check", ...args, "--wait", "0s"], kubeconfigPath);
  const waiting = check();
  assert.equal(waiting.status, 1);
  assert.match(waiting.stdout, /no running pods for "linkerd-destination"/);

  using admin = new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) });
  const { items } = await admin.list(DEPLOYMENTS, { namespace: "linkerd" });
  for (const deployment of items) await pretendRunning(admin, deployment);
  for (const mode of [[], ["--proxy"]]) {
    const { status, stdout, stderr } = check(...mode);
    assert.equal(status, 0, stdout + stderr);
    assert.doesNotMatch(stdout, /[\u00d7\u203c]/);
  }
});
