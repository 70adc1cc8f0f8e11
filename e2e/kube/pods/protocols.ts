import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { client, meshed, nginx, PLAIN, service } from "./objects.ts";

const AT = "protocols";
const OPAQUE = { "config.linkerd.io/opaque-ports": "80" } as const;

interface Case {
  readonly title: string;
  readonly service: string;
  /** As what the client's proxy counts the connection. */
  readonly counts: "http" | "tcp";
}

const CASES: readonly Case[] = [
  {
    title: "[ND01] appProtocol opaque to a Service counts as TCP",
    service: "declared-opaque",
    counts: "tcp",
  },
  {
    title: "[ND02] appProtocol http to a Service counts as HTTP",
    service: "declared-http",
    counts: "http",
  },
  { title: "[ND24] opaque by the Service, to the Service", service: "annotated", counts: "tcp" },
  { title: "[ND25] opaque to what is not meshed", service: "plain", counts: "tcp" },
  {
    title: "what nothing is said of counts as what it speaks",
    service: "web",
    counts: "http",
  },
];

/** Of the client's proxy, by Service. */
const COUNTED = {
  http: "outbound_http_route_request_statuses_total",
  tcp: "outbound_tcp_route_open_total",
} as const;

/** What a proxy takes a connection for. */
export function protocolTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      const web = { app: "web" };
      const port = { port: 80 };
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web"),
        ...nginx(AT, "opaque", { annotations: OPAQUE }),
        ...nginx(AT, "plain", { annotations: PLAIN }),
        ...nginx(AT, "said", { annotations: { ...PLAIN, ...OPAQUE } }),
        service(AT, "web"),
        service(AT, "opaque"),
        service(AT, "plain", [port], { annotations: OPAQUE }),
        service(AT, "annotated", [port], { ...web, annotations: OPAQUE }),
        service(AT, "declared-opaque", [{ ...port, appProtocol: "linkerd.io/opaque" }], web),
        service(AT, "declared-http", [{ ...port, appProtocol: "http" }], web),
        service(AT, "declared-h2c", [{ ...port, appProtocol: "kubernetes.io/h2c" }], web),
        ...client(AT, "curl"),
        ...client(AT, "direct"),
      );
      await mesh().ready(AT, "web", "opaque", "plain", "said", "curl", "direct");
    })();
    return started;
  };
  const ok = (from: string, host: string): Promise<void> =>
    eventually(host, NEVER, async () => {
      assert.equal(await mesh().status(AT, from, `http://${host}/`), "200");
    });

  for (const { title, service: name, counts } of CASES) {
    test(title, { skip }, async () => {
      await start();
      await ok("curl", `${name}.${AT}.svc.cluster.local`);
      const curl = await mesh().pod(AT, "curl");
      const line = (of: "http" | "tcp"): RegExp =>
        new RegExp(`^${COUNTED[of]}\\{.*parent_name="${name}"`, "m");
      await mesh().metric(curl, line(counts));
      assert.doesNotMatch(await mesh().metrics(curl), line(counts === "http" ? "tcp" : "http"));
    });
  }

  for (const { title, from, byPod } of [
    { title: "[ND23] opaque by the pod, to a Service", from: "curl", byPod: false },
    { title: "[ND26] opaque by the pod, to the pod", from: "direct", byPod: true },
  ]) {
    test(title, { skip }, async () => {
      await start();
      const opaque = await mesh().pod(AT, "opaque");
      const host = byPod ? opaque.status?.podIP : `opaque.${AT}.svc.cluster.local`;
      await ok(from, host ?? "");
      // Only the pod's own proxy knows for sure, and looks at nothing that comes in.
      const id = `client_id="${from}.${AT}.serviceaccount.identity.linkerd.cluster.local"`;
      await mesh().metric(opaque, new RegExp(`^tcp_open_total\\{direction="inbound".*${id}`));
      assert.doesNotMatch(
        await mesh().metrics(opaque),
        new RegExp(`^request_total\\{direction="inbound".*${id}`, "m"),
      );
    });
  }

  for (const { title, to, counts } of [
    // What a Service says is no word on connections that do not name it.
    { title: "[ND27] opaque by the Service, to the pod: it is not", to: "web", counts: "http" },
    { title: "[ND28] opaque by the pod, to a pod that is not meshed", to: "said", counts: "tcp" },
  ] as const) {
    test(title, { skip }, async () => {
      await start();
      const { status, metadata } = await mesh().pod(AT, to);
      await ok("direct", status?.podIP ?? "");
      const labels = `direction="outbound".*dst_pod="${metadata.name}"`;
      const requests = new RegExp(`^request_total\\{${labels}`, "m");
      const direct = await mesh().pod(AT, "direct");
      await mesh().metric(direct, new RegExp(`^tcp_open_total\\{${labels}`));
      const check = counts === "http" ? assert.match : assert.doesNotMatch;
      check(await mesh().metrics(direct), requests);
    });
  }

  test("[E201] what appProtocol says is believed, also where it is wrong", { skip }, async () => {
    await start();
    for (const name of ["declared-opaque", "declared-http"]) {
      await ok("curl", `${name}.${AT}.svc.cluster.local`);
    }
    // curl speaks HTTP/1, and what answers speaks HTTP/2 to it.
    const url = `http://declared-h2c.${AT}.svc.cluster.local/`;
    const { code, err } = await mesh().run(AT, "curl", ["curl", "-sS", "--max-time", "5", url]);
    assert.equal(code, 1, err);
    assert.match(err, /HTTP\/0\.9/);
  });
}
