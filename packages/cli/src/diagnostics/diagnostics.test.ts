import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ServerSchema } from "@heddle/api/gen/inbound_pb";
import { ControlHost } from "@heddle/control/testing/control-host";
import { TestNamespace } from "@heddle/control/testing/objects";
import { serviceKnown } from "@heddle/control/testing/streams";
import { ApiStore } from "@heddle/testkit/api-store";
import { parse } from "yaml";
import { eventually } from "../mesh.ts";
import { type CliRun, runInProcess } from "../testing/run.ts";
import { endpointTables } from "./endpoint-table.ts";
import { goJson, goStruct, goYaml } from "./go-struct.ts";

let host: ControlHost;

before(async () => {
  host = await ControlHost.start(await ApiStore.start());
});
after(() => host?.[Symbol.asyncDispose]());

/** Asks the control plane of this test, which runs in no pod. */
function diagnose(
  role: "destination" | "policy",
  command: string,
  ...args: readonly string[]
): Promise<CliRun> {
  const { ip, port } = host.address(role);
  return runInProcess(["diagnostics", command, "--api-addr", `${ip}:${port}`, ...args], {
    HOME: "/nonexistent",
  });
}

/** A Service `web` with pods at these addresses, once the control plane has heard of it. */
async function webIn(namespace: string, ips: readonly string[], meshed = false): Promise<void> {
  const space = await TestNamespace.create(host.kube, namespace);
  await space.service("web", { ports: [{ name: "http", port: 80 }] });
  const endpoints = [];
  for (const [index, ip] of ips.entries()) {
    const name = `web-${index}`;
    await space.pod({ name, ips: [ip], meshed });
    const targetRef = { kind: "Pod", name, namespace };
    endpoints.push({ addresses: [ip], conditions: { ready: true }, targetRef });
  }
  await space.slice("web", "web-1", endpoints);
  const client = await host.client("destination");
  await serviceKnown({ client, path: authority(namespace) });
}

function authority(namespace: string): string {
  return `web.${namespace}.svc.cluster.local:80`;
}

test("[HC25] diagnostics endpoints prints a table for each namespace, and JSON", async () => {
  await webIn("shop", ["10.42.0.9", "10.42.0.10"]);
  await webIn("shipping", ["10.43.0.100"]);
  await webIn("empty", []);
  const [one, both, json, none] = await Promise.all([
    diagnose("destination", "endpoints", authority("shop")),
    diagnose("destination", "ep", authority("shop"), authority("shipping")),
    diagnose("destination", "endpoints", "-o", "json", authority("shipping")),
    diagnose("destination", "endpoints", "web.empty.svc.cluster.local:80"),
  ]);
  const shop = [
    "NAMESPACE   IP           PORT   POD     SERVICE",
    "shop        10.42.0.10   8080   web-1   web.shop",
    "shop        10.42.0.9    8080   web-0   web.shop",
  ];
  assert.deepEqual(one, { code: 0, out: shop.join("\n"), err: "" });
  const shipping = [
    "NAMESPACE   IP            PORT   POD     SERVICE",
    "shipping    10.43.0.100   8080   web-0   web.shipping",
  ];
  assert.deepEqual(both, { code: 0, out: [...shipping, "", ...shop].join("\n"), err: "" });
  const [row, ...rest] = JSON.parse(json.out) as Readonly<Record<string, unknown>>[];
  assert.equal(rest.length, 0);
  const { labels, ...fields } = row!;
  assert.deepEqual(fields, {
    namespace: "shipping",
    ip: "10.43.0.100",
    port: 8080,
    pod: "web-0",
    service: "web.shipping",
    weight: 10_000,
  });
  assert.equal((labels as Readonly<Record<string, string>>)["pod"], "web-0");
  assert.deepEqual(none, { code: 0, out: "", err: "No endpoints found." });
});

test("[HC25] rows are sorted by their Service, and a long name widens its column", () => {
  const row = (service: string, pod: string) => ({
    ...{ namespace: "a", ip: "1.1.1.1", port: 1, weight: 1, labels: {} },
    ...{ service, pod },
  });
  assert.deepEqual(endpointTables([row("z.a", "p"), row("b.a", "a-very-long-pod")]), [
    "NAMESPACE   IP        PORT   POD               SERVICE",
    "a           1.1.1.1   1      a-very-long-pod   b.a",
    "a           1.1.1.1   1      p                 z.a",
  ]);
  assert.deepEqual(endpointTables([]), []);
});

test("diagnostics endpoints ends with the first authority that is refused", async () => {
  const { code, out, err } = await diagnose(
    "destination",
    "endpoints",
    "nobody.nowhere.svc.cluster.local:80",
  );
  assert.deepEqual([code, out], [1, ""]);
  assert.match(err, /nobody\.nowhere/);
});

test("diagnostics profile prints the first profile as Go's JSON has it", async () => {
  await webIn("profiled", ["10.44.0.1"]);
  const { code, out, err } = await diagnose("destination", "profile", authority("profiled"));
  assert.equal(code, 0, err);
  const found = JSON.parse(out) as Readonly<Record<string, unknown>>;
  assert.equal(found["fully_qualified_name"], "web.profiled.svc.cluster.local");
  assert.deepEqual(found["retry_budget"], {
    retry_ratio: 0.2,
    min_retries_per_second: 10,
    ttl: { seconds: 10 },
  });
  const { Kind } = found["parent_ref"] as { readonly Kind: { readonly Resource: unknown } };
  assert.deepEqual(Kind.Resource, {
    group: "core",
    kind: "Service",
    name: "web",
    namespace: "profiled",
    port: 80,
  });
  const pod = await diagnose("destination", "profile", "10.44.0.1:8080");
  const { endpoint } = JSON.parse(pod.out) as {
    readonly endpoint: { readonly addr: unknown };
  };
  assert.deepEqual(endpoint.addr, { ip: { Ip: { Ipv4: 0x0a2c0001 } }, port: 8080 });
});

test("diagnostics policy asks for a pod's port and for a Service's, as YAML and JSON", async () => {
  await webIn("policed", ["10.45.0.1"], true);
  // The policy controller may hear of the pod later than the destination controller.
  const pod = await eventually("the pod's policy", new AbortController().signal, async () => {
    const found = await diagnose("policy", "policy", "-n", "policed", "po/web-0", "8080");
    assert.equal(found.code, 0, found.err);
    return found;
  });
  const server = parse(pod.out) as {
    readonly labels: Readonly<Record<string, string>>;
    readonly protocol: { readonly Kind: { readonly Detect: { readonly timeout: unknown } } };
  };
  assert.equal(server.labels["name"], "all-unauthenticated");
  assert.deepEqual(server.protocol.Kind.Detect.timeout, { seconds: 10 });
  assert.ok(pod.out.indexOf("authorizations:") < pod.out.indexOf("labels:"), "keys are sorted");
  const args = ["-o", "json", "-n", "policed", "svc", "web", "80"];
  const service = await diagnose("policy", "policy", ...args);
  assert.equal(service.code, 0, service.err);
  const outbound = JSON.parse(service.out) as {
    readonly metadata: { readonly Kind: { readonly Resource: { readonly name: string } } };
  };
  assert.equal(outbound.metadata.Kind.Resource.name, "web");
});

test("diagnostics refuses what it cannot ask, and says what it takes", async () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /name a command: endpoints, profile, policy, proxy-metrics, controller-metrics/],
    [["endpoints"], /name an authority/],
    [["endpoints", "-o", "xml", "a:1"], /-o takes table or json/],
    [["endpoints", "--api-addr", "nowhere", "a:1"], /--api-addr takes HOST:PORT, not "nowhere"/],
    [["profile"], /name one address/],
    [["policy", "po/web"], /name a resource and a port/],
    [["policy", "po/web", "70000"], /not "70000"/],
    [["policy", "deploy/web", "80"], /policies are of pods and services, not of a deployment/],
    [["policy", "cow/web", "80"], /there is no kind "cow"; kinds are cronjob/],
    [["policy", "po", "80"], /name the pod, such as pod\/web/],
    [["proxy-metrics"], /name a resource/],
    [["controller-metrics", "-w", "soon"], /--wait: "soon" is not a duration/],
  ];
  for (const [args, reason] of refused) {
    const { code, err } = await runInProcess(["dg", ...args], { HOME: "/nonexistent" });
    assert.equal(code, 2, args.join(" "));
    assert.match(err, reason);
    assert.match(err, /usage: heddle diagnostics/);
  }
  const lost = await runInProcess(["dg", "profile", "--api-addr", "127.0.0.1:1", "a:1"], {});
  assert.equal(lost.code, 1);
  assert.match(lost.err, /connection refused/);
});

test("goStruct() keeps what Go prints: no zeros, nulls for oneofs, whole numbers beyond doubles", async () => {
  const struct = goStruct(ServerSchema, {
    protocol: { kind: { case: undefined } },
    serverIps: [{ ip: { case: "ipv6", value: { first: 2n ** 64n - 1n, last: 0n } } }],
    authorizations: [],
    labels: { b: "<&>", a: "1" },
  });
  assert.equal(
    goJson(struct).replaceAll(/\s/g, ""),
    '{"protocol":{"Kind":null},"server_ips":[{"Ip":{"Ipv6":{"first":18446744073709551615}}}],"labels":{"a":"1","b":"\\u003c\\u0026\\u003e"}}',
  );
  assert.match(await goYaml(struct), /first: 18446744073709551615/);
});
