import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Echo, echoHandlers } from "@heddle/testkit/echo-service";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { Health as HealthService, ServerReflection } from "@heddle/testkit/grpc-services";
import { Health } from "./health.ts";
import { reflectionHandlers } from "./reflection.ts";
import { GrpcServer } from "./server.ts";

const GRPCURL = join(
  process.env["HEDDLE_CACHE"] ?? join(homedir(), ".cache", "heddle"),
  "bin",
  "grpcurl",
);
const skip = existsSync(GRPCURL)
  ? false
  : `${GRPCURL} is not there: npm test builds it with Go 1.26`;
const run = promisify(execFile);

test("grpcurl lists and describes our services by reflection", { skip }, async () => {
  await using host = await newHost();
  const list = await grpcurl(host, "list");
  assert.deepEqual(list.trim().split("\n").sort(), [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "heddle.echo.v1.Echo",
  ]);
  const description = await grpcurl(host, "describe", "heddle.echo.v1.Echo.Bidi");
  assert.match(description, /rpc Bidi \( stream \.heddle\.echo\.v1\.EchoRequest \)/);
  assert.match(
    await grpcurl(host, "describe", "heddle.echo.v1.EchoRequest"),
    /uint32 answer_bytes = 4/,
  );
  await assert.rejects(grpcurl(host, "describe", "no.such.Thing"), /not found/i);
});

test("grpcurl calls every kind of method", { skip }, async () => {
  await using host = await newHost();
  const call = async (method: string, ...requests: object[]): Promise<unknown> => {
    const data = requests.map((request) => JSON.stringify(request)).join("");
    const out = await grpcurl(host, "-d", data, `heddle.echo.v1.Echo/${method}`);
    return JSON.parse(`[${out.replaceAll("}\n{", "},{")}]`);
  };
  assert.deepEqual(await call("Unary", { text: "a" }), [{ text: "a" }]);
  assert.deepEqual(await call("ServerStream", { count: 2 }), [{}, { index: 1 }]);
  assert.deepEqual(await call("ClientStream", { text: "a" }, { text: "b" }), [{ text: "ab" }]);
  const answers = [{ text: "a" }, { text: "b", index: 1 }];
  assert.deepEqual(await call("Bidi", { text: "a" }, { text: "b" }), answers);
});

test("grpcurl reads our status, metadata and deadline", { skip }, async () => {
  await using host = await newHost();
  const request = JSON.stringify({ status: 9, message: "not now: é" });
  const failed = grpcurl(host, "-d", request, "heddle.echo.v1.Echo/Unary");
  await assert.rejects(failed, /Code: FailedPrecondition\s+Message: not now: é/);
  const args = ["-v", "-H", "echo-a: 1", "-H", "trailer-echo-b: 2", "heddle.echo.v1.Echo/Unary"];
  assert.match(await grpcurl(host, ...args), /echo-a: 1[\s\S]*trailer-echo-b: 2/);
  const watch = grpcurl(host, "-max-time", "1", "grpc.health.v1.Health/Watch");
  await assert.rejects(watch, /DeadlineExceeded/);
});

async function newHost(): Promise<GrpcHost> {
  const server = new GrpcServer().add(Echo, echoHandlers());
  server.add(HealthService, new Health().handlers());
  server.add(ServerReflection, reflectionHandlers(server));
  return await GrpcHost.start(server);
}

/** What it prints; rejects with what it complains of. */
async function grpcurl(host: GrpcHost, ...args: string[]): Promise<string> {
  const options = args.filter((arg) => arg === "list" || arg === "describe");
  const at = options.length > 0 ? args.indexOf(options[0]!) : args.length - 1;
  const all = ["-plaintext", ...args.slice(0, at), host.authority, ...args.slice(at)];
  try {
    return (await run(GRPCURL, all)).stdout;
  } catch (error) {
    throw new Error((error as { stderr: string }).stderr, { cause: error });
  }
}
