import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { KubeClient } from "@heddle/kube/client";
import { loadKubeconfig } from "@heddle/kube/kubeconfig";
import { CONFIG_MAPS, SECRETS, type Secret } from "@heddle/kube/types/core";
import { type KubeObject, type Resource, resource } from "@heddle/kube/types/meta";
import { ROOT } from "../scripts/test-suites.ts";
import { toolPath } from "../scripts/tools.ts";
import { KUBE_API_TOOLS, startKubeApi } from "./kube/api-server.ts";

const absent = [...KUBE_API_TOOLS, "kubectl"].filter((name) => !existsSync(toolPath(name)));
const skip = absent.length > 0 && `not built: ${absent.join(", ")}`;

interface Deployment extends KubeObject {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly image: string }[] };
    };
  };
}
const DEPLOYMENTS: Resource<Deployment> = resource("apps/v1", "Deployment", "deployments");

/** What Linkerd has besides, and we have not. */
const HEARTBEAT = `---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: linkerd-heartbeat
  namespace: linkerd
  labels: { linkerd.io/control-plane-ns: linkerd }
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: linkerd-heartbeat
  namespace: linkerd
  labels: { linkerd.io/control-plane-ns: linkerd }
spec:
  schedule: "0 1 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{ name: heartbeat, image: "cr.l5d.io/linkerd/controller:edge-26.8.3" }]
`;

/** An installation as Linkerd's command would have made it: its names, its images, its marks. */
function asLinkerd(manifests: string): string {
  const theirs = manifests
    .replaceAll(/linkerd\.io\/created-by: .*/g, "linkerd.io/created-by: linkerd/cli edge-26.8.3")
    .replaceAll(/image: heddle\/control:.*/g, "image: cr.l5d.io/linkerd/controller:edge-26.8.3");
  return `${theirs}\n${HEARTBEAT}`;
}

test("Linkerd's control plane is taken over with its trust, and given back", { skip }, async () => {
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-takeover-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "kube"));
  const { kubeconfigPath } = parts.use(await startKubeApi(join(folder, "kube")));
  const admin = parts.use(new KubeClient({ cluster: loadKubeconfig({ paths: [kubeconfigPath] }) }));
  const run = (command: string, args: readonly string[], input = "") => {
    const env = { ...process.env, KUBECONFIG: kubeconfigPath };
    return spawnSync(command, args, { encoding: "utf8", input, env });
  };
  const heddle = (...args: readonly string[]) => run(join(ROOT, "heddle"), args);
  const kubectl = (verb: "apply" | "delete", manifests: string): string => {
    const { status, stdout, stderr } = run(toolPath("kubectl"), [verb, "-f", "-"], manifests);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const images = async (): Promise<readonly string[]> =>
    (await admin.list(DEPLOYMENTS, { namespace: "linkerd" })).items.flatMap(({ spec }) =>
      spec.template.spec.containers
        .map(({ image }) => image)
        .filter((image) => !image.includes("/proxy:")),
    );
  const trust = async (): Promise<readonly unknown[]> => {
    const issuer: Secret = await admin.get(SECRETS, {
      namespace: "linkerd",
      name: "linkerd-identity-issuer",
    });
    const name = "linkerd-identity-trust-roots";
    return [issuer.data, (await admin.get(CONFIG_MAPS, { namespace: "linkerd", name })).data];
  };

  kubectl("apply", heddle("install", "--crds", "--set", "installGatewayAPI=true").stdout);
  const linkerd = asLinkerd(heddle("install").stdout);
  kubectl("apply", linkerd);
  const before = await trust();

  for (const args of [["install"], ["upgrade"], ["prune"]]) {
    const { status, stdout, stderr } = heddle(...args);
    assert.deepEqual([status, stdout.trim()], [1, ""], args.join(" "));
    assert.match(stderr, /by linkerd\/cli edge-26\.8\.3/);
  }
  const said = kubectl("apply", heddle("upgrade", "--take-over").stdout);
  assert.match(said, /deployment\.apps\/linkerd-destination configured/);
  assert.deepEqual(await trust(), before);
  assert.ok((await images()).every((image) => image.startsWith("heddle/")));
  const left = heddle("prune").stdout;
  assert.deepEqual([...left.matchAll(/^kind: (.*)$/gm)].map(([, kind]) => kind).sort(), [
    "CronJob",
    "ServiceAccount",
  ]);
  kubectl("delete", left);

  kubectl("apply", linkerd);
  assert.deepEqual(await trust(), before);
  assert.ok((await images()).every((image) => image.startsWith("cr.l5d.io/linkerd/controller:")));
});
