import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { TestCa } from "@heddle/testkit/ca";
import { add, balanced, detect, weightedAddr } from "../testing/messages.ts";
import { Script } from "../testing/script.ts";
import { TEST_ID, TestWorld } from "../testing/world.ts";

const WEB = "web.default.svc.cluster.local:80";
const TARGET = "10.9.0.3:80";

const ca = await TestCa.root();

async function startWorld(): Promise<TestWorld> {
  const leaf = await ca.leaf({ sans: [{ dns: TEST_ID }] });
  return await TestWorld.start({
    anchors: ca.pem,
    leaf,
    ...(process.env["VERBOSE"] ? { log: (l: string) => process.stderr.write(`${l}\n`) } : {}),
  });
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function get(port: number, options: http.RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: "127.0.0.1", port, headers: { host: "web" }, agent: false, ...options },
      (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode!, headers: response.headers, body }),
        );
        response.on("error", reject);
      },
    );
    request.on("error", reject);
    request.end();
  });
}

async function startApp(
  handler: http.RequestListener,
): Promise<{ authority: string } & AsyncDisposable> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.77.0.10", resolve));
  const { port } = server.address() as { port: number };
  return {
    authority: `127.77.0.10:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("[A01] [C01] an HTTP/1 request is discovered, balanced and answered", async () => {
  await using world = await startWorld();
  await using app = await startApp((request, response) => response.end(`hello ${request.url}`));
  world.control.policies.set(TARGET, Script.of(detect(balanced(WEB))));
  world.control.endpoints.set(WEB, Script.of(add(weightedAddr(app.authority))));
  const { port } = await world.outbound(TARGET);
  const answer = await get(port, { path: "/there" });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "hello /there");
});
