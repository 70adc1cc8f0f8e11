import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { systemClock } from "@heddle/base/clock";
import { VERSION } from "./categories/versions.ts";
import type { CheckResult } from "./check.ts";
import { CheckedMesh } from "./checked-mesh.ts";
import { runChecks } from "./runner.ts";
import { latestVersions, splitVersion, versionProblem } from "./versions.ts";

const signal = new AbortController().signal;
const REQUEST = {
  expectedVersion: undefined,
  versionUrl: undefined,
  cliVersion: "edge-26.6.3",
  uuid: "1-2-3",
  signal,
};

/** A version service that answers so, and what it was asked. */
async function startService(
  status: number,
  body: string | Uint8Array,
): Promise<AsyncDisposable & { readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/version.json`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a version's channel is what stands before its first dash", () => {
  assert.deepEqual(splitVersion("edge-26.6.3"), { channel: "edge", version: "26.6.3" });
  assert.deepEqual(splitVersion("enterprise-2.19.0-1"), {
    channel: "enterprise",
    version: "2.19.0-1",
  });
  assert.deepEqual(splitVersion("0.1.0-rc1"), { channel: "stable", version: "0.1.0-rc1" });
});

test("a version is the latest of its own channel, or it is told of which not", () => {
  const latest = new Map([["edge", "26.8.3"]]);
  assert.equal(versionProblem("edge-26.8.3", latest), undefined);
  assert.equal(
    versionProblem("edge-26.6.3", latest),
    "is running version 26.6.3 but the latest edge version is 26.8.3",
  );
  assert.match(versionProblem("stable-2.14.10", latest) ?? "", /latest versions is: edge 26\.8\.3/);
});

test("the flag says what is the latest version, and nobody is asked without an address", async () => {
  const given = await latestVersions({ ...REQUEST, expectedVersion: "edge-1.2.3" });
  assert.deepEqual([...given!], [["edge", "1.2.3"]]);
  assert.equal(await latestVersions(REQUEST), undefined);
});

test("the service is asked with our version and the installation's identity", async () => {
  const answer = JSON.stringify({ edge: "edge-26.8.3", stable: "2.14.10", odd: 3 });
  await using service = await startService(200, answer);
  const found = await latestVersions({ ...REQUEST, versionUrl: service.url });
  assert.deepEqual(
    [...found!],
    [
      ["edge", "26.8.3"],
      ["stable", "2.14.10"],
    ],
  );
  assert.deepEqual(service.asked, ["/version.json?version=edge-26.6.3&uuid=1-2-3&source=cli"]);
});

test("an answer that is none, or too long, is refused with the service's name", async () => {
  for (const [status, body, why] of [
    [500, "{}", /status 500/],
    [200, "<html>", /not JSON/],
    [200, "[]", /no map of channels/],
    [200, "null", /no map of channels/],
    [200, new Uint8Array((1 << 20) + 1), /exceeds 1 MB/],
  ] as const) {
    await using service = await startService(status, body);
    const { origin } = new URL(service.url);
    await assert.rejects(
      latestVersions({ ...REQUEST, versionUrl: service.url }),
      (error: Error) => {
        assert.ok(error.message.startsWith(`Cannot ask ${origin} for the latest version: `));
        assert.match(error.message, why);
        return true;
      },
    );
  }
  await assert.rejects(latestVersions({ ...REQUEST, versionUrl: "nowhere" }), /it is not a URL/);
  await assert.rejects(
    latestVersions({ ...REQUEST, versionUrl: "http://127.0.0.1:1/" }),
    /it does not answer/,
  );
});

test("several checks ask the service once, and hear of its failure alike", async () => {
  await using service = await startService(500, "");
  const options = {
    controlNamespace: "linkerd",
    cniNamespace: "linkerd-cni",
    dataNamespace: undefined,
    cliVersion: "edge-26.6.3",
    expectedVersion: undefined,
    versionUrl: service.url,
    isCniExpected: false,
    isPreInstall: true,
    manifests: async () => [],
  };
  using mesh = new CheckedMesh(options, systemClock, () => assert.fail("no client"));
  const results: CheckResult[] = [];
  const isSuccess = await runChecks([VERSION], {
    mesh,
    waitMs: 0,
    clock: systemClock,
    onResult: (result) => results.push(result),
    stop: signal,
  });
  assert.equal(isSuccess, true);
  assert.deepEqual(
    results.map(({ result, error }) => `${result} ${error?.replace(/^.* for/, "for")}`),
    Array(2).fill("warning for the latest version: it answered with status 500"),
  );
  assert.deepEqual(service.asked, ["/version.json?version=edge-26.6.3&uuid=unknown&source=cli"]);
});
