import assert from "node:assert/strict";
import { test } from "node:test";
import { Health as HealthService } from "@heddle/testkit/grpc-services";
import { GrpcClient } from "./client.ts";
import { GrpcError } from "./error.ts";
import { Health } from "./health.ts";
import { GrpcServer } from "./server.ts";
import { GrpcStatus } from "./status.ts";

const { check, watch } = HealthService.method;

test("check() tells what was set, and NOT_FOUND for what was not", async () => {
  const { health, client } = newWorld();
  assert.equal((await client.unary(check, {})).status, 1);
  health.set("a.B", false);
  assert.equal((await client.unary(check, { service: "a.B" })).status, 2);
  await assert.rejects(
    client.unary(check, { service: "c.D" }),
    (error) => error instanceof GrpcError && error.status === GrpcStatus.notFound,
  );
});

test("watch() tells the state at once and each change once, and ends when it is left", async () => {
  const { health, client, server } = newWorld();
  const seen: number[] = [];
  for await (const { status } of client.serverStream(watch, { service: "a.B" })) {
    seen.push(status);
    if (seen.length === 1) health.set("a.B", true);
    if (seen.length === 2) {
      health.set("a.B", true);
      health.set("other", true);
      health.set("a.B", false);
    }
    if (seen.length === 3) break;
  }
  assert.deepEqual(seen, [3, 1, 2]);
  assert.equal(server.activeCalls, 0);
});

function newWorld(): { health: Health; client: GrpcClient; server: GrpcServer } {
  const health = new Health();
  const server = new GrpcServer().add(HealthService, health.handlers());
  // In one process, client and server need no connection.
  return { health, server, client: new GrpcClient(server, { authority: "a" }) };
}
