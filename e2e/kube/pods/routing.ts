import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { client, meshed, nginx, service } from "./objects.ts";

const AT = "routing";

function route(name: string, rules: readonly object[]): object {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace: AT, name },
    spec: { parentRefs: [{ group: "", kind: "Service", name: "web", port: 80 }], rules },
  };
}

function rule(path: string, backend: string): object {
  return {
    matches: [{ path: { type: "PathPrefix", value: path } }],
    backendRefs: [{ name: backend, port: 80 }],
  };
}

/** Where requests go by a Service's routes, and when they stop going. */
export function routingTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      const breaker = {
        "balancer.linkerd.io/failure-accrual": "consecutive",
        "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "5",
        "balancer.linkerd.io/failure-accrual-consecutive-min-penalty": "30s",
      };
      await mesh().apply(
        meshed(AT),
        ...nginx(AT, "web"),
        service(AT, "web"),
        service(AT, "fragile", [{ port: 80 }], { app: "web", annotations: breaker }),
        ...client(AT, "curl"),
      );
      await mesh().ready(AT, "web", "curl");
    })();
    return started;
  };

  test("[E225] routes by path: a backend, one that is not there, and none", { skip }, async () => {
    await start();
    const routes = [route("paths", [rule("/valid", "web"), rule("/invalid", "absent")])];
    await mesh().with(routes, async () => {
      await eventually("answers by path", NEVER, async () => {
        const paths = ["valid", "invalid", "other"];
        const base = `http://web.${AT}.svc.cluster.local`;
        const statuses = paths.map((path) => mesh().status(AT, "curl", `${base}/${path}`));
        assert.deepEqual(await Promise.all(statuses), ["200", "500", "404"]);
      });
    });
  });

  test("[E222] a breaker trips after five failures in a row", { skip }, async () => {
    await start();
    const host = `fragile.${AT}.svc.cluster.local`;
    await eventually("the breaker's Service", NEVER, async () => {
      assert.equal(await mesh().status(AT, "curl", `http://${host}/`), "200");
    });
    const { out } = await mesh().run(AT, "curl", [
      ...["curl", "-s", "-o", "/dev/null", "--max-time", "10", "-w", "%{http_code} "],
      `http://${host}/fail?[1-6]`,
    ]);
    assert.match(out.trim(), /^(?:500 ){5}50[34]$/);
  });
}
