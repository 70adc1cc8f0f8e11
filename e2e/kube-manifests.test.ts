import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { NAMESPACES, PODS, type Pod, SERVICE_ACCOUNTS } from "@heddle/kube/types/core";
import type { KubeObject } from "@heddle/kube/types/meta";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, type KubeApi, startKubeApi } from "./kube/api-server.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

let folder: string;
let api: KubeApi;

before(async () => {
  if (skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), "heddle-manifests-"));
  mkdirSync(join(folder, "kube"));
  api = await startKubeApi(join(folder, "kube"));
  kubectl(["create", "namespace", "linkerd"]);
});

after(async () => {
  await api?.[Symbol.asyncDispose]();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

function kubectl(args: readonly string[], input = ""): string {
  const env = { ...process.env, KUBECONFIG: api.kubeconfigPath };
  const said = spawnSync(toolPath("kubectl"), args, { encoding: "utf8", input, env });
  assert.equal(said.status, 0, said.stderr);
  return said.stdout;
}

function install(...args: readonly string[]): string {
  const all = ["install", "--ignore-cluster", ...args];
  const said = spawnSync(join(ROOT, "heddle"), all, { encoding: "utf8" });
  assert.equal(said.status, 0, said.stderr);
  return said.stdout;
}

// A field that Kubernetes does not know is an error here, and elsewhere would be dropped in silence.
for (const args of [
  [],
  ["--ha", "--controller-gid", "1000", "--proxy-gid", "2000"],
  ["--linkerd-cni-enabled"],
  ["--set", "proxy.nativeSidecar=false,disableIPv6=false"],
  [
    "--set",
    "proxy.tracing.enabled=true,proxy.tracing.collector.endpoint=c:1,proxy.tracing.collector.meshIdentity.serviceAccountName=a,proxy.tracing.collector.meshIdentity.namespace=n",
  ],
  [
    "--set",
    "expansion.enabled=true,expansion.advertised[0]=192.0.2.1:8444,priorityClassName=p,runtimeClassName=r,imagePullSecrets[0].name=s,tolerations[0].operator=Exists,configReaders[0].kind=ServiceAccount,configReaders[0].name=x,configReaders[0].namespace=y",
  ],
]) {
  test(`a real API server knows every field of: install ${args.join(" ")}`, { skip }, () => {
    const said = kubectl(
      ["apply", "--dry-run=server", "--validate=strict", "-f", "-"],
      install(...args),
    );
    assert.match(said, /deployment\.apps\/linkerd-destination created \(server dry run\)/);
  });
}

test("with the CNI plugin the control plane's pods keep to the restricted standard", {
  skip,
}, async () => {
  using admin = new KubeClient({ cluster: loadKubeconfig({ paths: [api.kubeconfigPath] }) });
  const namespace = "strict";
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await admin.create(NAMESPACES, { metadata: { name: namespace, labels } });
  const admitted = async (...args: readonly string[]): Promise<readonly boolean[]> => {
    const found: boolean[] = [];
    for (const document of install(...args, "-o", "json").split(/^(?=\{$)/m)) {
      const { kind, metadata, spec } = JSON.parse(document) as KubeObject & {
        readonly spec: { readonly template: Pod };
      };
      if (kind !== "Deployment") continue;
      const name = metadata.name!;
      const account = { metadata: { name, namespace } };
      await admin.create(SERVICE_ACCOUNTS, account).catch(() => undefined);
      const pod: Pod = { metadata: { name, namespace }, spec: spec.template.spec! };
      try {
        await admin.create(PODS, pod, { dryRun: true });
        found.push(true);
      } catch (error) {
        assert.match(String(error), /violates PodSecurity "restricted:latest"/);
        found.push(false);
      }
    }
    return found;
  };
  assert.deepEqual(await admitted("--linkerd-cni-enabled"), [true, true, true]);
  // linkerd-init has to change the network's rules.
  assert.deepEqual(await admitted(), [false, false, false]);
});
