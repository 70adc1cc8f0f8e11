import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "@heddle/cli/mesh";
import { type MeshNode, NEVER } from "../mesh-node.ts";
import { OUTSIDE_IP } from "../node-config.ts";
import { client, meshed, nginx, service } from "./objects.ts";
import { object, POLICY } from "./policies.ts";

const AT = "egress";
const HOST = "outside.test";
const EGRESS = { group: POLICY, kind: "EgressNetwork", name: "all" };

function network(trafficPolicy: "Allow" | "Deny"): object {
  return object("v1alpha1", "EgressNetwork", AT, "all", { trafficPolicy });
}

function route(path: string, backend: object): object {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace: AT, name: "route" },
    spec: {
      parentRefs: [{ ...EGRESS, port: 80 }],
      hostnames: [HOST],
      rules: [{ matches: [{ path: { type: "PathPrefix", value: path } }], backendRefs: [backend] }],
    },
  };
}

/** What leaves the cluster, to a server that is not in it. */
export function egressTests(mesh: () => MeshNode, skip: string | false): void {
  let started: Promise<void> | undefined;
  /** The first test that wants it makes it. */
  const start = (): Promise<void> => {
    started ??= (async () => {
      await mesh().startOutside();
      await mesh().apply(
        meshed(AT),
        ...client(AT, "curl"),
        ...nginx(AT, "web"),
        service(AT, "web"),
      );
      await mesh().ready(AT, "curl", "web");
    })();
    return started;
  };
  /** What curl ends with, and the status and body that it got. */
  const ask = async (url: string, method = "GET"): Promise<{ code: number; out: string }> => {
    const resolve = [80, 443].flatMap((port) => ["--resolve", `${HOST}:${port}:${OUTSIDE_IP}`]);
    const flags = ["-sk", "--max-time", "5", "-w", "%{http_code}", "-X", method];
    return await mesh().run(AT, "curl", ["curl", ...flags, ...resolve, url]);
  };
  const answers = (url: string, expected: string): Promise<void> =>
    eventually(url, NEVER, async () => assert.equal((await ask(url)).out, expected));

  test("[ND10] HTTP and HTTPS leave where nothing is said of what leaves", { skip }, async () => {
    await start();
    for (const scheme of ["http", "https"]) {
      for (const method of ["GET", "POST"]) {
        const url = `${scheme}://${HOST}/`;
        await eventually(`${method} ${url}`, NEVER, async () => {
          assert.equal((await ask(url, method)).out, "outside\n200");
        });
      }
    }
    await mesh().metric(
      await mesh().pod(AT, "curl"),
      new RegExp(`^request_total\\{direction="outbound".*target_ip="${OUTSIDE_IP}"`),
    );
  });

  test("[E212] HTTP may leave where that is allowed", { skip }, async () => {
    await start();
    await mesh().with([network("Allow")], () => answers(`http://${HOST}/`, "outside\n200"));
  });

  test("[E213] HTTP is answered with 403 where it may not leave", { skip }, async () => {
    await start();
    await mesh().with([network("Deny")], () =>
      eventually("a refusal", NEVER, async () => {
        assert.match((await ask(`http://${HOST}/`)).out, /403$/);
      }),
    );
  });

  test("[E214] TLS may leave, untouched, where that is allowed", { skip }, async () => {
    await start();
    await mesh().with([network("Allow")], () => answers(`https://${HOST}/`, "outside\n200"));
  });

  test("[E215] TLS is broken off where it may not leave", { skip }, async () => {
    await start();
    await mesh().with([network("Deny")], () =>
      eventually("an end", NEVER, async () => {
        const { code, out } = await ask(`https://${HOST}/`);
        // Refused or broken off in the handshake, and not given up waiting.
        assert.ok([7, 35, 56].includes(code), `${code} ${out}`);
        assert.equal(out, "000");
      }),
    );
  });

  test("[E216] a route lets one path of one host out", { skip }, async () => {
    await start();
    const items = [network("Deny"), route("/allowed", { ...EGRESS, port: 80 })];
    await mesh().with(items, async () => {
      await answers(`http://${HOST}/allowed`, "outside\n200");
      assert.match((await ask(`http://${HOST}/elsewhere`)).out, /403$/);
    });
  });

  test("[E219] a route leads what would leave back into the cluster", { skip }, async () => {
    await start();
    const items = [network("Deny"), route("/", { name: "web", port: 80 })];
    await mesh().with(items, async () => {
      const web = await mesh().pod(AT, "web");
      await answers(`http://${HOST}/`, `nginx at ${web.status?.podIP}\n200`);
    });
  });
}
