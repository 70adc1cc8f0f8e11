import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { client, meshed, nginx, PLAIN, service, shell } from "./objects.ts";

const AT = "ways";

/** Is to be had in its own pod only. */
const LOCAL_SERVER =
  "mkdir /tmp/www && echo local >/tmp/www/index.html && exec busybox httpd -f -p 127.0.0.1:8080 -h /tmp/www";

/** Which connections go through which proxies, and which are refused. */
export function wayTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      const skipped = { "config.linkerd.io/skip-inbound-ports": "80" };
      const named = { "config.linkerd.io/proxy-metrics-hostname-labels": "true" };
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web"),
        service(AT, "web"),
        ...nginx(AT, "skipped", { annotations: skipped }),
        service(AT, "skipped"),
        ...client(AT, "curl"),
        ...client(AT, "named", { annotations: named }),
        ...client(AT, "plain", { annotations: PLAIN }),
        ...shell(AT, "local", LOCAL_SERVER),
        service(AT, "local", [{ port: 8080 }]),
        service(AT, "profiled", [{ port: 80 }], { app: "web" }),
        profile(AT, "profiled"),
      );
      await mesh().ready(AT, "web", "skipped", "curl", "named", "plain", "local");
    })();
    return started;
  };
  const answers = (from: string, url: string, status: string): Promise<void> =>
    eventually(`${from} to ${url}`, NEVER, async () => {
      assert.equal(await mesh().status(AT, from, url), status);
    });

  test("[ND32] skipped inbound ports go past the proxy", { skip }, async () => {
    await start();
    await answers("curl", `http://skipped.${AT}.svc.cluster.local/`, "200");
    const server = await mesh().metrics(await mesh().pod(AT, "skipped"));
    assert.doesNotMatch(server, /^request_total\{direction="inbound".*target_port="80"/m);
    assert.doesNotMatch(server, /^tcp_open_total\{direction="inbound".*target_port="80"/m);
    const curl = await mesh().pod(AT, "curl");
    await mesh().metric(
      curl,
      /^tcp_open_total\{.*tls="no_identity".*dst_deployment="skipped"|^request_total\{.*tls="no_identity".*dst_deployment="skipped"/,
    );
  });

  test("[ND19] a pod reaches itself by its own address", { skip }, async () => {
    await start();
    const { status } = await mesh().pod(AT, "web");
    await answers("web", `http://${status?.podIP}/`, "200");
  });

  test("[ND20] a pod reaches itself by its Service", { skip }, async () => {
    await start();
    await answers("web", `http://web.${AT}.svc.cluster.local/`, "200");
  });

  test("[ND21] a proxy relays nothing for strangers", { skip }, async () => {
    await start();
    const { status } = await mesh().pod(AT, "web");
    const target = `skipped.${AT}.svc.cluster.local:80`;
    const { code, out } = await mesh().run(AT, "plain", [
      ...["curl", "-s", "--max-time", "5", "-w", "%{http_code}"],
      ...["-H", `l5d-dst-override: ${target}`, "-H", `Host: ${target}`],
      `http://${status?.podIP}:4143/`,
    ]);
    assert.doesNotMatch(out, /nginx at|^2/);
    assert.ok(code !== 0 || /[45]\d\d$/.test(out), out);
  });

  for (const { title, name } of [
    { title: "[ND29] a port that the Service has not is refused", name: "web" },
    {
      title: "[ND30] a port that the Service has not is refused, with a profile too",
      name: "profiled",
    },
  ]) {
    test(title, { skip }, async () => {
      await start();
      await answers("curl", `http://${name}.${AT}.svc.cluster.local/`, "200");
      const url = `http://${name}.${AT}.svc.cluster.local:8888/`;
      const { code, out } = await mesh().run(AT, "curl", ["curl", "-s", "--max-time", "5", url]);
      // Refused or broken off, and not given up waiting.
      assert.ok([7, 52, 56].includes(code), `${code} ${out}`);
    });
  }

  test("[ND18] what listens on loopback only is reached in its own pod, and by no other", {
    skip,
  }, async () => {
    await start();
    const own = await mesh().run(AT, "local", ["wget", "-q", "-O", "-", "http://127.0.0.1:8080/"]);
    assert.deepEqual([own.code, own.out], [0, "local\n"]);
    // The rules send what comes in to the proxy, which goes on to the pod's own address.
    const { status } = await mesh().pod(AT, "local");
    for (const host of [status?.podIP, `local.${AT}.svc.cluster.local`]) {
      await answers("curl", `http://${host}:8080/`, "502");
    }
    await mesh().metric(
      await mesh().pod(AT, "local"),
      /^response_total\{direction="inbound".*target_port="8080".*status_code="502"/,
    );
  });

  test("[ND16] labels of hosts stay empty where they are not wanted", { skip }, async () => {
    await start();
    await answers("curl", `http://web.${AT}.svc.cluster.local/`, "200");
    const curl = await mesh().pod(AT, "curl");
    const counted = /^outbound_http_route_request_statuses_total\{.*parent_name="web".*hostname=""/;
    await mesh().metric(curl, counted);
  });

  test("[ND17] labels of hosts are there where they are wanted", { skip }, async () => {
    await start();
    const host = `web.${AT}.svc.cluster.local`;
    await answers("named", `http://${host}/`, "200");
    const named = await mesh().pod(AT, "named");
    const counted = `^outbound_http_route_request_statuses_total\\{.*parent_name="web".*hostname="${host}"`;
    await mesh().metric(named, new RegExp(counted));
  });
}

/** A profile that has a route, so that proxies go by it. */
function profile(namespace: string, name: string): object {
  return {
    apiVersion: "linkerd.io/v1alpha2",
    kind: "ServiceProfile",
    metadata: { namespace, name: `${name}.${namespace}.svc.cluster.local` },
    spec: { routes: [{ name: "all", condition: { pathRegex: "/.*" } }] },
  };
}
