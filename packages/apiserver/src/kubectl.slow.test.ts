import assert from "node:assert/strict";
import { test } from "node:test";
import { type Fixture, startFixture } from "./testing/fixture.ts";
import { Kubectl, kubectlMissing } from "./testing/kubectl.ts";

const skip = kubectlMissing();

async function start(): Promise<{ fixture: Fixture; kubectl: Kubectl } & AsyncDisposable> {
  const fixture = await startFixture();
  const kubectl = new Kubectl(fixture.dataDir, fixture.server.adminKubeconfig());
  return { fixture, kubectl, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

const SERVICE = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
};

const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: { containers: [{ name: "app", image: "app:1" }] },
    },
  },
};

const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "carts.shop.example.com" },
  spec: {
    group: "shop.example.com",
    scope: "Namespaced",
    names: { kind: "Cart", plural: "carts", shortNames: ["ct"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: { owner: { type: "string" } } },
            },
          },
        },
        additionalPrinterColumns: [{ name: "Owner", type: "string", jsonPath: ".spec.owner" }],
      },
    ],
  },
};

const CART = {
  apiVersion: "shop.example.com/v1",
  kind: "Cart",
  metadata: { name: "mine" },
  spec: { owner: "me" },
};

test("kubectl version, api-resources and explain know the server", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  assert.match(await kubectl.ok("version"), /Server Version: v1\.37/);
  const resources = await kubectl.ok("api-resources");
  for (const line of [
    /^services +svc +v1 +true +Service$/m,
    /^endpointslices +discovery.k8s.io\/v1 +true +EndpointSlice$/m,
    /^customresourcedefinitions +crd,crds +apiextensions.k8s.io\/v1 +false/m,
    /^leases +coordination.k8s.io\/v1 +true +Lease$/m,
  ]) {
    assert.match(resources, line);
  }
  const explained = await kubectl.ok("explain", "service.spec.ports");
  assert.match(explained, /targetPort/);
  assert.match(explained, /-required-/);
});

test("kubectl apply creates, leaves alone, changes and takes away", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  const first = kubectl.file("first", SERVICE, DEPLOYMENT, DEFINITION);
  assert.match(await kubectl.ok("apply", "-f", first), /service\/web created/);
  assert.match(await kubectl.ok("apply", "-f", first), /service\/web unchanged/);
  const { code } = await kubectl.run("diff", "-f", first);
  assert.equal(code, 0);
  const changed = kubectl.file("changed", {
    ...SERVICE,
    spec: { ...SERVICE.spec, ports: [{ name: "grpc", port: 90, targetPort: 9090 }] },
  });
  assert.match(await kubectl.ok("apply", "-f", changed), /service\/web configured/);
  const ports = await kubectl.ok("get", "service", "web", "-o", "jsonpath={.spec.ports[*].port}");
  assert.equal(ports, "90");
  const bad = kubectl.file("bad", { ...SERVICE, spec: { ...SERVICE.spec, nonsense: 1 } });
  const refused = await kubectl.run("apply", "-f", bad);
  assert.match(refused.err, /unknown field "spec.nonsense"/);
  await kubectl.ok("delete", "-f", first);
  assert.match((await kubectl.run("get", "service", "web")).err, /NotFound/);
});

test("kubectl apply, get and delete work on custom resources", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("apply", "-f", kubectl.file("definition", DEFINITION));
  await kubectl.ok("wait", "--for=condition=Established", "crd/carts.shop.example.com");
  await kubectl.ok("apply", "-f", kubectl.file("cart", CART));
  assert.match(await kubectl.ok("get", "ct"), /^NAME +OWNER\nmine +me\n$/);
  const changed = { ...CART, spec: { owner: "you" } };
  await kubectl.ok("apply", "-f", kubectl.file("cart", changed));
  await kubectl.ok(
    "patch",
    "ct",
    "mine",
    "--type=merge",
    "-p",
    '{"metadata":{"labels":{"a":"b"}}}',
  );
  assert.match(await kubectl.ok("get", "ct", "-l", "a=b"), /mine +you/);
  await kubectl.ok("delete", "ct", "mine");
});

test("kubectl create makes every kind that it has a command for", { skip }, async () => {
  await using world = await start();
  const { kubectl, fixture } = world;
  await kubectl.ok("create", "namespace", "shop");
  const inShop = (...args: string[]): Promise<string> =>
    kubectl.ok("-n", "shop", "create", ...args);
  await inShop("configmap", "settings", "--from-literal=a=b");
  await inShop("secret", "generic", "keys", "--from-literal=password=x");
  await inShop("serviceaccount", "web");
  await inShop("deployment", "web", "--image=app:1", "--replicas=3", "--port=80");
  await inShop("service", "clusterip", "web", "--tcp=80:8080");
  await inShop("service", "externalname", "out", "--external-name=example.com");
  await inShop("job", "once", "--image=app:1");
  await inShop("cronjob", "often", "--image=app:1", "--schedule=* * * * *");
  await inShop("role", "reader", "--verb=get,list", "--resource=pods");
  await inShop("rolebinding", "readers", "--role=reader", "--serviceaccount=shop:web");
  await inShop("poddisruptionbudget", "web", "--selector=app=web", "--min-available=1");
  await kubectl.ok("create", "clusterrole", "reader", "--verb=get", "--resource=pods");
  await kubectl.ok("create", "clusterrolebinding", "r", "--clusterrole=reader", "--user=me");
  const read = (path: string): Promise<string> =>
    kubectl.ok("-n", "shop", "get", path, "-o", "json");
  const replicas = JSON.parse(await read("deployment/web")) as { spec: { replicas: number } };
  assert.equal(replicas.spec.replicas, 3);
  const secret = JSON.parse(await read("secret/keys")) as { data: { password: string } };
  assert.equal(secret.data.password, "eA==");
  const token = (
    await inShop("token", "web", "--audience=identity.l5d.io", "--duration=15m")
  ).trim();
  const review = await fixture.admin.post("/apis/authentication.k8s.io/v1/tokenreviews", {
    spec: { token, audiences: ["identity.l5d.io"] },
  });
  assert.match(review.text, /system:serviceaccount:shop:web/);
  await kubectl.ok("create", "-f", kubectl.file("service", SERVICE));
  assert.match(
    (await kubectl.run("create", "-f", kubectl.file("service", SERVICE))).err,
    /AlreadyExists/,
  );
  await kubectl.ok("delete", "namespace", "shop", "--timeout=30s");
  assert.match((await kubectl.run("get", "namespace", "shop")).err, /NotFound/);
});

test("kubectl label, annotate, patch, scale, set and rollout change objects", {
  skip,
}, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("apply", "-f", kubectl.file("all", SERVICE, DEPLOYMENT));
  await kubectl.ok("label", "service", "web", "team=x");
  await kubectl.ok("annotate", "service", "web", "note=y");
  assert.match((await kubectl.run("label", "service", "web", "team=z")).err, /overwrite/);
  await kubectl.ok("label", "service", "web", "team-");
  await kubectl.ok(
    "patch",
    "deployment",
    "web",
    "-p",
    '{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"A","value":"1"}]}]}}}}',
  );
  await kubectl.ok(
    "patch",
    "service",
    "web",
    "--type=json",
    "-p",
    '[{"op":"replace","path":"/spec/ports/0/port","value":81}]',
  );
  await kubectl.ok("scale", "deployment", "web", "--replicas=5");
  await kubectl.ok("set", "image", "deployment/web", "app=app:2");
  await kubectl.ok("rollout", "restart", "deployment/web");
  await kubectl.ok("expose", "deployment", "web", "--name=more", "--port=80");
  const path =
    "{.spec.replicas} {.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[0].value}";
  assert.equal(await kubectl.ok("get", "deployment", "web", "-o", `jsonpath=${path}`), "5 app:2 1");
  const service = "{.spec.ports[0].port} {.metadata.annotations.note} {.metadata.labels}";
  assert.equal(await kubectl.ok("get", "service", "web", "-o", `jsonpath=${service}`), "81 y ");
});

test("kubectl get prints tables, and describe what there is to say", { skip }, async () => {
  await using world = await start();
  const { kubectl, fixture } = world;
  await kubectl.ok("apply", "-f", kubectl.file("all", SERVICE, DEPLOYMENT));
  await kubectl.ok("run", "one", "--image=app:1", "--labels=app=web");
  await fixture.admin.patch("/api/v1/namespaces/default/pods/one/status", "merge", {
    status: {
      phase: "Running",
      podIP: "10.1.2.3",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [{ name: "one", ready: true, restartCount: 2, state: { running: {} } }],
    },
  });
  assert.match(await kubectl.ok("get", "pods"), /one +1\/1 +Running +2 +\d+s/);
  assert.match(await kubectl.ok("get", "pods", "-o", "wide"), /10\.1\.2\.3/);
  assert.match(
    await kubectl.ok("get", "services"),
    /web +ClusterIP +10\.96\.0\.2 +<none> +80\/TCP/,
  );
  assert.match(await kubectl.ok("get", "all"), /deployment.apps\/web +0\/2/);
  assert.match(await kubectl.ok("get", "pods", "-A"), /^NAMESPACE +NAME/);
  await kubectl.ok("wait", "--for=condition=Ready", "pod/one", "--timeout=30s");
  await kubectl.ok(
    "wait",
    "--for=jsonpath={.subsets[0].addresses[0].ip}=10.1.2.3",
    "endpoints/web",
    "--timeout=30s",
  );
  const described = await kubectl.ok("describe", "service", "web");
  assert.match(described, /Endpoints: +10\.1\.2\.3:8080/);
  assert.match(await kubectl.ok("describe", "pod", "one"), /Status: +Running/);
  assert.match(await kubectl.ok("describe", "namespace", "default"), /Status: +Active/);
  assert.match(await kubectl.ok("get", "endpointslices"), /web-\w+ +IPv4 +8080 +10\.1\.2\.3/);
});

test("kubectl get -w follows changes, and wait --for=delete sees the end", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("apply", "-f", kubectl.file("service", SERVICE));
  using watch = kubectl.start("get", "services", "web", "-w");
  assert.match((await watch.line())!, /^NAME/);
  assert.match((await watch.line())!, /80\/TCP/);
  await kubectl.ok(
    "patch",
    "service",
    "web",
    "-p",
    '{"spec":{"ports":[{"port":80,"name":"http"},{"port":81,"name":"more"}]}}',
  );
  assert.match((await watch.line())!, /81\/TCP/);
  const waited = kubectl.ok("wait", "--for=delete", "service/web", "--timeout=30s");
  await kubectl.ok("delete", "service", "web");
  await waited;
  assert.match((await watch.line())!, /^web /);
});

test("kubectl delete cascades as it is told", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("apply", "-f", kubectl.file("deployment", DEPLOYMENT));
  const uid = await kubectl.ok("get", "deployment", "web", "-o", "jsonpath={.metadata.uid}");
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid };
  const { template, selector } = DEPLOYMENT.spec;
  const set = (name: string): object => ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name, ownerReferences: [{ ...owner, blockOwnerDeletion: true }] },
    spec: { selector, template },
  });
  await kubectl.ok("create", "-f", kubectl.file("sets", set("a"), set("b")));
  await kubectl.ok("delete", "deployment", "web", "--cascade=foreground", "--timeout=30s");
  assert.match((await kubectl.run("get", "rs")).err, /No resources found/);
});

test("kubectl auth says who one is and what one may do", { skip }, async () => {
  await using world = await start();
  const { kubectl, fixture } = world;
  assert.match(await kubectl.ok("auth", "whoami"), /heddle-admin/);
  assert.match(await kubectl.ok("auth", "can-i", "delete", "pods"), /yes/);
  const control = new Kubectl(fixture.dataDir, fixture.server.controlKubeconfig());
  const answer = await control.run("auth", "can-i", "delete", "namespaces");
  assert.match(answer.out, /no/);
  assert.match((await control.run("delete", "namespace", "default")).err, /Forbidden/);
});

test("kubectl apply --server-side owns fields, tells conflicts and takes over", {
  skip,
}, async () => {
  await using world = await start();
  const { kubectl } = world;
  const first = kubectl.file("first", SERVICE, DEPLOYMENT);
  const apply = (...args: string[]) => kubectl.run("apply", "--server-side", ...args);
  assert.match((await apply("-f", first)).out, /service\/web serverside-applied/);
  const template = { ...DEPLOYMENT.spec.template };
  const two = kubectl.file("two", {
    ...DEPLOYMENT,
    spec: { ...DEPLOYMENT.spec, template, replicas: 3 },
  });
  const refused = await apply("-f", two, "--field-manager=other");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /conflict with "kubectl": \.spec\.replicas/);
  const diff = await kubectl.run("diff", "--server-side", "--force-conflicts", "-f", two);
  assert.equal(diff.code, 1, diff.err);
  assert.match(diff.out, /- {2}replicas: 2\n\+ {2}replicas: 3/);
  const taken = await apply("-f", two, "--field-manager=other", "--force-conflicts");
  assert.equal(taken.code, 0, taken.err);
  const owners = await kubectl.ok(
    "get",
    "deployment",
    "web",
    "--show-managed-fields",
    "-o",
    "yaml",
  );
  assert.match(owners, /manager: other/);
  assert.match(owners, /k:\{"name":"app"\}:/);
  assert.match((await kubectl.run("diff", "--server-side", "-f", first)).err, /conflict/);
  // What client-side apply has done is taken over, and undone by leaving it out.
  await kubectl.ok("delete", "-f", first);
  await kubectl.ok("apply", "-f", first);
  const less = { ...SERVICE, spec: { ports: SERVICE.spec.ports } };
  const moved = await apply("-f", kubectl.file("less", less));
  assert.equal(moved.code, 0, moved.err);
  assert.equal(await kubectl.ok("get", "service", "web", "-o", "jsonpath={.spec.selector}"), "");
});

test("kubectl edit, replace and create check what they send", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("apply", "-f", kubectl.file("service", SERVICE));
  const editor = kubectl.with({ KUBE_EDITOR: "sed -i s/http/web/" });
  assert.match(await editor.ok("edit", "service", "web"), /service\/web edited/);
  const name = await kubectl.ok("get", "service", "web", "-o", "jsonpath={.spec.ports[0].name}");
  assert.equal(name, "web");
  await kubectl.ok("replace", "-f", kubectl.file("again", SERVICE));
  const wrong = kubectl.file("wrong", { ...SERVICE, spec: { ...SERVICE.spec, wrong: 1 } });
  const strict = await kubectl.run("replace", "-f", wrong, "--validate=strict");
  assert.match(strict.err, /unknown field "spec.wrong"/);
  const warned = await kubectl.run("replace", "-f", wrong, "--validate=warn");
  assert.equal(warned.code, 0, warned.err);
  assert.match(warned.err, /Warning: unknown field "spec.wrong"/);
  const local = await kubectl.run("create", "-f", wrong, "--dry-run=client", "--validate=strict");
  assert.equal(local.code, 0, local.err);
});

test("kubectl explain knows built-in and custom fields, to the ground", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  const container = await kubectl.ok("explain", "deployment.spec.template.spec.containers");
  assert.match(container, /FIELD: containers <\[\]Container>/);
  assert.match(container, /readinessProbe\t<Probe>/);
  assert.match(await kubectl.ok("explain", "pods", "--recursive"), /terminationGracePeriodSeconds/);
  await kubectl.ok("apply", "-f", kubectl.file("definition", DEFINITION));
  await kubectl.ok("wait", "--for=condition=Established", "crd/carts.shop.example.com");
  assert.match(await kubectl.ok("explain", "carts.spec.owner"), /FIELD: owner <string>/);
  assert.match(await kubectl.ok("explain", "crd.spec.versions"), /served\t<boolean> -required-/);
});

test("kubectl auth tells what others may do, and reconciles roles", { skip }, async () => {
  await using world = await start();
  const { kubectl } = world;
  await kubectl.ok("create", "role", "reader", "--verb=get,list", "--resource=pods");
  await kubectl.ok("create", "rolebinding", "readers", "--role=reader", "--user=ann");
  const can = async (...args: string[]): Promise<string> =>
    (await kubectl.run("auth", "can-i", ...args, "--as=ann")).out.trim();
  assert.equal(await can("list", "pods"), "yes");
  assert.equal(await can("delete", "pods"), "no");
  assert.equal(await can("list", "pods", "-n", "kube-public"), "no");
  assert.match(await can("--list"), /^pods +\[\] +\[\] +\[get list\]$/m);
  assert.match((await kubectl.run("get", "secrets", "--as=ann")).err, /User "ann" cannot list/);
  const roles = kubectl.file("roles", {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "reader", namespace: "default" },
    rules: [{ apiGroups: [""], resources: ["services"], verbs: ["get"] }],
  });
  await kubectl.ok("auth", "reconcile", "-f", roles);
  assert.equal(await can("get", "services"), "yes");
  assert.equal(await can("list", "pods"), "yes");
});
