import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestOf } from "@heddle/cli/helm/manifest";
import { eventually } from "@heddle/cli/mesh";
import { CONFIG_MAPS, PODS, SECRETS } from "@heddle/kube/types/core";
import { chartFolder } from "../helm/helm.ts";
import { NODE } from "../kube/node-config.ts";
import {
  client,
  job,
  meshed,
  nginx,
  type RunningPod,
  service,
  shell,
} from "../kube/pods/objects.ts";
import { authorization, meshTls, server, serverRoute } from "../kube/pods/policies.ts";
import { CURL_IMAGE } from "../kube/test-images.ts";
import type { Story } from "../play.ts";
import { DOMAIN, type Stage } from "./stage.ts";

const SHOP = "shop";
/** Of the control plane, where a load balancer would be. */
const JOIN_ADDRESS = `${NODE.ip}:8444`;
const VALUES = {
  clusterDomain: DOMAIN,
  expansion: { enabled: true, advertised: [JOIN_ADDRESS] },
} as const;

export const STORY: Story<Stage> = [
  ["The control plane is installed, and `heddle check` is content", installed],
  ["A Deployment and a Job are meshed because their namespace says so", workloadsAreMeshed],
  ["Both ends of a connection prove who they are", identitiesAreProven],
  ["A policy denies one route", aPolicyDenies],
  ["A machine outside the cluster joins, and pods reach it", aMachineJoins],
  ["Helm upgrades the control plane under load", helmUpgrades],
  ["`heddle uninstall` leaves nothing behind", uninstalled],
];

/** What there was before us, by kind; told to the last scene. */
const before = new Map<Stage, string>();

async function installed(stage: Stage): Promise<readonly string[]> {
  const { node } = stage;
  before.set(stage, await clusterWide(stage));
  const values = join(stage.folder, "values.yaml");
  writeFileSync(values, manifestOf(VALUES));
  await node.install("-f", values);
  // No load balancer is here to give the Service its address.
  const outside = JSON.stringify({ spec: { externalIPs: [NODE.ip] } });
  await node.kubectl(["-n", "linkerd", "patch", "service", "heddle-expansion", "-p", outside]);
  const said = await node.heddle("check");
  const pods = await node.kubectl(["-n", "linkerd", "get", "pods", "--no-headers"]);
  const checks = [...said.matchAll(/^\u221a /gm)].length;
  return [...pods.trim().split("\n"), `${checks} checks passed`];
}

async function workloadsAreMeshed({ node }: Stage): Promise<readonly string[]> {
  await node.apply(
    meshed(SHOP),
    // A probe would need a route of its own where there are routes.
    ...nginx(SHOP, "web", { replicas: 2, isProbed: false }),
    service(SHOP, "web"),
    ...client(SHOP, "shopper"),
  );
  await node.ready(SHOP, "web", "shopper");
  const command = ["curl", "-sSf", `http://web.${SHOP}.svc.${DOMAIN}/`];
  await node.apply(...job(SHOP, "order", { image: CURL_IMAGE, command }));
  const done = ["wait", "--for=condition=Complete", "job/order", "--timeout=120s"];
  await node.kubectl(["-n", SHOP, ...done]);
  const answer = await node.kubectl(["-n", SHOP, "logs", "job/order", "-c", "order"]);
  assert.match(answer, /^nginx at /);
  const columns = "NAME:.metadata.name,SIDECAR:.spec.initContainers[*].name,PHASE:.status.phase";
  const pods = await node.kubectl(["-n", SHOP, "get", "pods", "-o", `custom-columns=${columns}`]);
  for (const line of pods.trim().split("\n").slice(1)) assert.match(line, /linkerd-proxy/);
  return pods.trim().split("\n");
}

async function identitiesAreProven({ node }: Stage): Promise<readonly string[]> {
  await node.run(SHOP, "shopper", ["curl", "-sSf", `http://web.${SHOP}/`]);
  const shopper = await node.pod(SHOP, "shopper");
  const id = (name: string): string => `${name}.${SHOP}.serviceaccount.identity.linkerd.${DOMAIN}`;
  const line = await node.metric(
    shopper,
    new RegExp(`^request_total\\{.*direction="outbound".*server_id="${id("web")}"`),
  );
  assert.match(line, /tls="true"/);
  const certificate = await node.heddle("identity", "-n", SHOP, "-l", "app=shopper");
  assert.ok(certificate.includes(id("shopper")), certificate);
  return [
    `shopper's sidecar was shown a certificate for ${id("web")}`,
    `its own is for ${id("shopper")}`,
  ];
}

async function aPolicyDenies(stage: Stage): Promise<readonly string[]> {
  const { node } = stage;
  const MESH = { kind: "MeshTLSAuthentication", name: "mesh" };
  const policies = [
    server(SHOP),
    serverRoute(SHOP, "open", "/open"),
    serverRoute(SHOP, "closed", "/closed"),
    meshTls(SHOP, { identities: ["*"] }),
    authorization(SHOP, "open", { kind: "HTTPRoute", name: "open" }, [MESH]),
  ];
  const ask = (path: string): Promise<string> =>
    node.status(SHOP, "shopper", `http://web.${SHOP}${path}`);
  const said: string[] = [];
  await node.with(policies, async () => {
    await eventually("the policy to hold", stage.stop, async () => {
      assert.deepEqual([await ask("/open"), await ask("/closed")], ["200", "403"]);
    });
    const { out } = await node.run(SHOP, "shopper", ["curl", "-si", `http://web.${SHOP}/closed`]);
    const refusedBy = /^heddle-refused-by: (.+?)\r?$/im.exec(out)?.[1];
    assert.ok(refusedBy !== undefined, out);
    said.push("/open: 200", `/closed: 403, refused by ${refusedBy}`);
  });
  await eventually("the policy to be gone", stage.stop, async () => {
    assert.equal(await ask("/"), "200");
  });
  return said;
}

async function aMachineJoins(stage: Stage): Promise<readonly string[]> {
  const { node } = stage;
  await node.apply(service(SHOP, "machine", [{ port: 80, targetPort: 8080 }], { app: "machine" }));
  await stage.startMachineApp();
  const token = await node.heddle(
    ...["invite", "-n", SHOP, "--name", "machine-1"],
    ...["--service-port", "8080:main", "--label", "app=machine"],
  );
  const said = await stage.joinMachine(token.trim());
  const id = /spiffe:\/\/\S+/.exec(said)?.[0] ?? said;
  await eventually("the machine to answer", stage.stop, async () => {
    const { out } = await node.run(SHOP, "shopper", ["curl", "-sS", `http://machine.${SHOP}/`]);
    assert.equal(out, "the machine\n");
  });
  const shopper = await node.pod(SHOP, "shopper");
  await node.metric(shopper, new RegExp(`^request_total\\{.*server_id="${id}"`));
  return [`joined as ${id}`, `the shopper's request to http://machine.${SHOP}/ was answered by it`];
}

/** One line for each request that is not answered with 200, and one for each hundred that are. */
const LOAD = `
n=0
while true; do
  code=$(curl -s -o /dev/null -w '%{http_code} %{errormsg}' --max-time 10 http://web.${SHOP}/)
  if [ "$code" = "200 " ]; then n=$((n+1)); else echo "lost $code"; fi
  if [ $((n % 100)) = 0 ]; then echo "answered $n"; fi
done`;

async function helmUpgrades(stage: Stage): Promise<readonly string[]> {
  const { node, folder } = stage;
  await node.apply(...shell(SHOP, "load", LOAD, { image: CURL_IMAGE }));
  await node.ready(SHOP, "load");
  const answered = async (): Promise<number> => {
    const log = await node.kubectl(["-n", SHOP, "logs", "deployment/load", "-c", "load"]);
    assert.doesNotMatch(log, /^lost/m);
    return Number(/answered (\d+)\n$/.exec(log)?.[1] ?? 0);
  };
  const since = await eventually("load", stage.stop, async () => {
    const count = await answered();
    assert.ok(count >= 100, `${count} answers`);
    return count;
  });
  const proxies = await proxiesOf(stage);
  const values = join(folder, "upgrade.yaml");
  writeFileSync(
    values,
    manifestOf({ ...VALUES, ...(await trustOf(stage)), controllerLogLevel: "debug" }),
  );
  const release = ["linkerd-control-plane", chartFolder("heddle-control-plane"), "-n", "linkerd"];
  const flags = ["--install", "--take-ownership", "--force-conflicts", "--wait"];
  await stage.helm("upgrade", ...release, ...flags, "-f", values);
  const until = await eventually("load after the upgrade", stage.stop, async () => {
    const count = await answered();
    assert.ok(count >= since + 200, `${count} answers`);
    return count;
  });
  await node.heddle("check");
  // The pods of applications are the same, their proxies run as the same user, and none was restarted.
  assert.deepEqual(await proxiesOf(stage), proxies);
  return [`${until - since} requests were answered meanwhile, none was lost`];
}

/** Of all meshed pods: which user the proxy is; of applications, which pod it is; who was restarted. */
async function proxiesOf({ node }: Stage): Promise<Readonly<Record<string, unknown>>> {
  const labelSelector = "linkerd.io/control-plane-ns=linkerd";
  const { items } = await node.client.list(PODS, { labelSelector });
  const running = items.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined && status?.phase === "Running",
  );
  const rows = running.map((pod) => {
    const { metadata, spec } = pod;
    const name = metadata.name ?? "";
    const { initContainerStatuses = [], containerStatuses = [] } = (pod as unknown as RunningPod)
      .status;
    const all = [...initContainerStatuses, ...containerStatuses];
    assert.deepEqual(
      all.filter(({ restartCount }) => restartCount > 0),
      [],
      name,
    );
    const isOurs = metadata.namespace === "linkerd";
    const component = metadata.labels?.["linkerd.io/control-plane-component"] ?? name;
    const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
    const proxy = containers.find((one) => one.name === "linkerd-proxy");
    const { runAsUser } =
      (proxy as { readonly securityContext?: { readonly runAsUser?: number } })?.securityContext ??
      {};
    assert.equal(typeof runAsUser, "number", name);
    return [isOurs ? component : name, { runAsUser, uid: isOurs ? "" : metadata.uid }];
  });
  return Object.fromEntries(rows);
}

/** What a release by Helm is given, since Helm does not read it from the cluster. */
async function trustOf({ node }: Stage): Promise<object> {
  const at = { namespace: "linkerd" };
  const roots = await node.client.get(CONFIG_MAPS, { ...at, name: "linkerd-identity-trust-roots" });
  const { data = {} } = await node.client.get(SECRETS, { ...at, name: "linkerd-identity-issuer" });
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString();
  return {
    identityTrustAnchorsPEM: roots.data?.["ca-bundle.crt"],
    identity: { issuer: { tls: { crtPEM: text("crt.pem"), keyPEM: text("key.pem") } } },
  };
}

async function uninstalled(stage: Stage): Promise<readonly string[]> {
  const { node } = stage;
  await stage.leaveMachine();
  const gone = ["delete", "--wait=true", "--timeout=120s"];
  await node.kubectl([...gone, "namespace", SHOP]);
  await node.kubectl([...gone, "-f", "-"], await node.heddle("uninstall"));
  await eventually("what was installed to be gone", stage.stop, async () => {
    assert.equal(await clusterWide(stage), before.get(stage));
  });
  const { code, out } = await node.heddleEnded("check", "--wait", "0s");
  assert.equal(code, 1, out);
  assert.match(out, /Status check results are ×\n$/);
  assert.match(await node.heddle("version"), /^Server version: unavailable$/m);
  return ["namespaces, definitions, cluster roles, bindings and webhooks are as they were before"];
}

/** The names of all that an installation could leave in a cluster. */
async function clusterWide({ node }: Stage): Promise<string> {
  const kinds = [
    ...["namespaces", "customresourcedefinitions", "clusterroles", "clusterrolebindings"],
    ...["mutatingwebhookconfigurations", "validatingwebhookconfigurations", "apiservices"],
  ];
  const names = await node.kubectl(["get", kinds.join(","), "-o", "name"]);
  return names
    .split("\n")
    .filter((name) => !name.endsWith(GATEWAY_API))
    .sort()
    .join("\n");
}

/** Its kinds are everybody's, and stay: routes of others would go with them. */
const GATEWAY_API = ".gateway.networking.k8s.io";
