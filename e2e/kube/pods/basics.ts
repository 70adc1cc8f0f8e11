import assert from "node:assert/strict";
import { test } from "node:test";
import { PODS } from "@heddle/kube/types/core";
import type { MeshNode } from "../mesh-node.ts";
import { CURL_IMAGE } from "../test-images.ts";
import { client, job, meshed, nginx, type RunningPod, service } from "./objects.ts";

/** The mesh by itself: control plane, sidecars, identities, probes. */
export function basicTests(mesh: () => MeshNode, skip: string | false): void {
  test("[NI07] our control plane runs in pods from our chart and our images", {
    skip,
  }, async () => {
    const { items } = await mesh().client.list(PODS, { namespace: "linkerd" });
    const pods = items as readonly unknown[] as readonly RunningPod[];
    const names = pods.map(({ metadata }) => metadata.name.replace(/-[^-]+-[^-]+$/, "")).sort();
    assert.deepEqual(names, ["linkerd-destination", "linkerd-identity", "linkerd-proxy-injector"]);
    for (const { status, metadata } of pods) {
      const { containerStatuses = [], initContainerStatuses = [] } = status;
      for (const { name, image, restartCount, ready } of [
        ...containerStatuses,
        ...initContainerStatuses,
      ]) {
        const what = `${metadata.name} ${name}`;
        assert.match(image, /^docker\.io\/heddle\/(?:control|proxy):/, what);
        assert.deepEqual([restartCount, ready], [0, true], what);
      }
    }
  });

  test("a Job's first packet finds the mesh, and the Job ends although its proxy would not", {
    skip,
  }, async () => {
    const at = "first-packet";
    await mesh().apply(meshed(at), ...nginx(at, "web"), service(at, "web"));
    await mesh().ready(at, "web");
    const command = ["curl", "-sSf", `http://web.${at}.svc.cluster.local/`];
    await mesh().apply(...job(at, "order", { image: CURL_IMAGE, command }));
    await mesh().kubectl([
      "-n",
      at,
      "wait",
      "--for=condition=Complete",
      "job/order",
      "--timeout=60s",
    ]);
    const web = await mesh().pod(at, "web");
    const said = await mesh().kubectl(["-n", at, "logs", "job/order", "-c", "order"]);
    assert.equal(said, `nginx at ${web.status?.podIP}\n`);
    const id = `order.${at}.serviceaccount.identity.linkerd.cluster.local`;
    const line = await mesh().metric(web, new RegExp(`^request_total\\{.*client_id="${id}"`));
    assert.match(line, / 1$/);
    const order = (await mesh().pod(at, "order")) as unknown as RunningPod;
    const proxy = order.status.initContainerStatuses?.find(({ name }) => name === "linkerd-proxy");
    assert.equal(proxy?.state?.terminated?.exitCode, 0);
  });

  test("both ends of a connection prove who they are, and probes need not", { skip }, async () => {
    const at = "identities";
    await mesh().apply(meshed(at), ...nginx(at, "web"), service(at, "web"), ...client(at, "curl"));
    await mesh().ready(at, "web", "curl");
    const { code, out } = await mesh().run(at, "curl", ["curl", "-sSf", `http://web.${at}/`]);
    assert.deepEqual([code, out.startsWith("nginx at")], [0, true]);
    const [web, curl] = [await mesh().pod(at, "web"), await mesh().pod(at, "curl")];
    const id = (name: string): string =>
      `${name}.${at}.serviceaccount.identity.linkerd.cluster.local`;
    await mesh().metric(
      web,
      new RegExp(`direction="inbound".*tls="true".*client_id="${id("curl")}"`),
    );
    await mesh().metric(
      curl,
      new RegExp(`direction="outbound".*tls="true".*server_id="${id("web")}"`),
    );
    await mesh().metric(
      web,
      /^request_total\{direction="inbound".*tls="no_identity".*authz_name="probe"/,
    );
  });
}
