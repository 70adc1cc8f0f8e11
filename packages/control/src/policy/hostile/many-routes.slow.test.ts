import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { OutboundPolicy } from "@heddle/api/gen/outbound_pb";
import { POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { ApiStore } from "@heddle/testkit/api-store";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { PolicyMesh } from "../test-mesh.ts";

let mesh: PolicyMesh;
before(async () => {
  mesh = await PolicyMesh.start({ ApiStore, GrpcHost, grpcMetadata });
});
after(() => mesh?.[Symbol.asyncDispose]());

const PORT = 4191;
const ROUTES = 10_000;
/** Created side by side. */
const CREATORS = 32;
const MIB = 1024 * 1024;
/** What the routes may keep of this process, a client's and its API server's share included. */
const MAX_GROWTH_MIB = 512;

/** Bytes that are in use, garbage aside. */
function live(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function routeCount(policy: OutboundPolicy): number {
  const kind = policy.protocol?.kind;
  return kind?.case === "detect" ? (kind.value.http1?.routes.length ?? 0) : 0;
}

function spec(path: string): object {
  const parentRefs = [{ group: "core", kind: "Service", name: "svc", port: PORT }];
  const rules = [{ matches: [{ path: { type: "PathPrefix", value: path } }] }];
  return { spec: { parentRefs, rules } };
}

test("ten thousand routes on one Service delay nobody else, and reach its own clients", async () => {
  const quiet = await mesh.namespace();
  const other = await mesh.service(quiet, "svc");
  await using witness = await mesh.watchOutbound(quiet, other.spec!.clusterIP!, PORT);
  await witness.next();
  const evil = await mesh.namespace();
  const service = await mesh.service(evil, "svc");
  await using watch = await mesh.watchOutbound(evil, service.spec!.clusterIP!, PORT);
  const before = live();

  let made = 0;
  const create = async (): Promise<void> => {
    while (made < ROUTES) {
      const at = made++;
      await mesh.create(POLICY_HTTP_ROUTES, evil, `route-${at}`, spec(`/${at}`));
    }
  };
  const creating = Promise.all(Array.from({ length: CREATORS }, create));
  // Read as it comes, as a proxy does: what waits to be read is the reader's to bear.
  const whole = (async (): Promise<OutboundPolicy> => {
    for (;;) {
      const policy = await watch.next();
      if (routeCount(policy) === ROUTES) return policy;
    }
  })();
  // Among them the other namespace's route is heard of, and nothing but that.
  await mesh.eventually("many are there", async () => (made > ROUTES / 4 ? true : undefined));
  await mesh.create(POLICY_HTTP_ROUTES, quiet, "own", spec("/own"));
  const heard = await witness.next();
  assert.equal(routeCount(heard), 1);
  assert.match(JSON.stringify(heard.protocol?.kind.value, withoutBigints), /"own"/);
  await creating;
  assert.equal(routeCount(await whole), ROUTES);
  await mesh.fence();
  assert.equal(witness.waiting, 0);
  const growth = (live() - before) / MIB;
  assert.ok(growth < MAX_GROWTH_MIB, `the process keeps ${growth} MiB`);
});

function withoutBigints(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
