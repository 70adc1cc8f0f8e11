import assert from "node:assert/strict";
import { test } from "node:test";
import { Echo, echoHandlers } from "@heddle/testkit/echo-service";
import { GrpcHost } from "@heddle/testkit/grpc-host";
import { GrpcClient } from "./client.ts";
import { GrpcServer } from "./server.ts";

test("all four kinds of call work over a connection", async () => {
  await using host = await GrpcHost.start(new GrpcServer().add(Echo, echoHandlers()));
  await using connection = await host.connect();
  const client = new GrpcClient(connection, { authority: host.authority });
  const { unary, serverStream, clientStream, bidi } = Echo.method;
  assert.equal((await client.unary(unary, { text: "a" })).text, "a");
  const indexes = await Array.fromAsync(client.serverStream(serverStream, { count: 3 }));
  assert.deepEqual(
    indexes.map(({ index }) => index),
    [0, 1, 2],
  );
  const joined = await client.clientStream(clientStream, texts("a", "b", "c"));
  assert.equal(joined.text, "abc");
  const answers = await Array.fromAsync(client.bidi(bidi, texts("x", "y")));
  assert.deepEqual(
    answers.map(({ text, index }) => [text, index]),
    [
      ["x", 0],
      ["y", 1],
    ],
  );
});

async function* texts(...all: string[]): AsyncIterable<{ text: string }> {
  for (const text of all) yield { text };
}
