import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Log } from "@heddle/base/log";
import { TestCa } from "@heddle/testkit/ca";
import { SvidHolder } from "./svid.ts";
import { newSvid, TEST_MACHINE } from "./testing/svids.ts";
import { startWorkloadApi } from "./workload-api.ts";

// @grpc/grpc-js as the application that asks for its identity.

interface Answer {
  readonly svids: readonly {
    readonly spiffeId: string;
    readonly x509Svid: Buffer;
    readonly x509SvidKey: Buffer;
    readonly bundle: Buffer;
  }[];
}

const PROTO = new URL("../../api/proto/workload.proto", import.meta.url).pathname;

class World implements AsyncDisposable {
  readonly ca: TestCa;
  readonly svids: SvidHolder;
  readonly path: string;
  readonly #folder: string;
  readonly #api: AsyncDisposable;
  readonly #client: grpc.Client;

  private constructor(ca: TestCa, svids: SvidHolder, folder: string, api: AsyncDisposable) {
    this.ca = ca;
    this.svids = svids;
    this.#folder = folder;
    this.path = join(folder, "workload.sock");
    this.#api = api;
    const definition = grpc.loadPackageDefinition(loadSync(PROTO));
    const Client = definition["SpiffeWorkloadAPI"] as grpc.ServiceClientConstructor;
    this.#client = new Client(`unix:${this.path}`, grpc.credentials.createInsecure());
  }

  static async start(uids: readonly number[] = [process.getuid!()]): Promise<World> {
    const ca = await TestCa.root();
    const svids = new SvidHolder(await newSvid(ca));
    const folder = mkdtempSync(join(tmpdir(), "heddle-workload-"));
    const path = join(folder, "workload.sock");
    const api = await startWorkloadApi({ path, svids, allowedUids: uids, log: Log.silent() });
    return new World(ca, svids, folder, api);
  }

  fetch(header?: string): grpc.ClientReadableStream<Answer> {
    const metadata = new grpc.Metadata();
    if (header !== undefined) metadata.set("workload.spiffe.io", header);
    const method = this.#client["FetchX509SVID" as keyof grpc.Client] as unknown as (
      request: object,
      metadata: grpc.Metadata,
    ) => grpc.ClientReadableStream<Answer>;
    return method.call(this.#client, {}, metadata);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.#api[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true });
  }
}

async function codeOf(call: grpc.ClientReadableStream<Answer>): Promise<number> {
  const [error] = (await once(call, "error")) as [grpc.ServiceError];
  return error.code;
}

test("the Workload API gives chain, key and bundle to a client of grpc-js", async () => {
  await using world = await World.start();
  const call = world.fetch("true").on("error", () => {});
  const [{ svids }] = (await once(call, "data")) as [Answer];
  call.cancel();
  assert.equal(svids.length, 1);
  const { spiffeId, x509Svid, x509SvidKey, bundle } = svids[0]!;
  assert.equal(spiffeId, TEST_MACHINE);
  const leaf = new X509Certificate(x509Svid);
  assert.equal(leaf.subjectAltName, `URI:${TEST_MACHINE}`);
  assert.ok(leaf.verify(new X509Certificate(bundle).publicKey));
  const key = createPrivateKey({ key: x509SvidKey, format: "der", type: "pkcs8" });
  assert.ok(leaf.checkPrivateKey(key));
});

test("the Workload API refuses who does not send workload.spiffe.io: true", async () => {
  await using world = await World.start();
  for (const header of [undefined, "false", ""]) {
    assert.equal(await codeOf(world.fetch(header)), grpc.status.INVALID_ARGUMENT);
  }
});

test("the Workload API has nothing for other users, and its socket is its owner's", async () => {
  await using world = await World.start([process.getuid!() + 1]);
  assert.equal(await codeOf(world.fetch("true")), grpc.status.PERMISSION_DENIED);
  assert.equal(statSync(world.path).mode & 0o777, 0o600);
});

test("the Workload API streams every rotation, also one that comes while the last is written", async () => {
  await using world = await World.start();
  const [second, third] = [await newSvid(world.ca), await newSvid(world.ca)];
  // The third is set after so many turns of the microtask queue, to hit every place of the writer.
  for (let turns = 0; turns < 40; turns++) {
    const call = world.fetch("true").on("error", () => {});
    const seen: Buffer[] = [];
    const isThird = Promise.withResolvers<void>();
    call.on("data", ({ svids }: Answer) => {
      seen.push(svids[0]!.x509Svid);
      if (seen.at(-1)!.equals(third!.chain[0]!)) isThird.resolve();
    });
    await once(call, "data");
    world.svids.set(second!);
    for (let turn = 0; turn < turns; turn++) await undefined;
    world.svids.set(third!);
    await isThird.promise;
    call.cancel();
    world.svids.set(await newSvid(world.ca));
  }
});
