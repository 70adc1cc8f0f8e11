import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MeshError } from "@heddle/base/errors";
import { Log } from "@heddle/base/log";
import { loadApiserver, runApiserver } from "./main.ts";

const NOTHING = (): undefined => undefined;

test("loadApiserver() takes flags before variables before defaults", () => {
  const variables: Record<string, string> = {
    HEDDLE_APISERVER_PORT: "7000",
    HEDDLE_APISERVER_HOST: "127.0.0.2",
    HEDDLE_APISERVER_NAMES: "a,b",
  };
  const config = loadApiserver(["--port", "8000"], (name) => variables[name]);
  assert.equal(config.port, 8000);
  assert.equal(config.host, "127.0.0.2");
  assert.deepEqual(config.names, ["a", "b"]);
  assert.equal(config.serviceCidr, "10.96.0.0/16");
  assert.equal(loadApiserver([], NOTHING).port, 6443);
});

test("loadApiserver() tells all problems at once", () => {
  const variables: Record<string, string> = {
    HEDDLE_APISERVER_PORT: "70000",
    HEDDLE_APISERVER_HOST: "",
    HEDDLE_APISERVER_SERVICE_CIDR: "10.0.0.0",
  };
  assert.throws(
    () => loadApiserver([], (name) => variables[name]),
    (error) =>
      error instanceof MeshError &&
      error.code === "bad_config" &&
      Object.keys(variables).every((name) => error.message.includes(name)),
  );
  assert.throws(() => loadApiserver(["--nonsense"], NOTHING), TypeError);
});

test("runApiserver() serves until it is told to stop", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-main-"));
  try {
    const stop = new AbortController();
    const lines: string[] = [];
    const ready = Promise.withResolvers<void>();
    const log = Log.root({
      uptimeMs: () => 0,
      write: (line) => {
        lines.push(line);
        if (line.includes("API server ready")) ready.resolve();
      },
    });
    const config = { ...loadApiserver([], NOTHING), dataDir, port: 0 };
    const running = runApiserver(config, log, stop.signal);
    await ready.promise;
    assert.match(await readFile(join(dataDir, "admin.kubeconfig"), "utf8"), /https:\/\/127.0.0.1:/);
    stop.abort("enough");
    await running;
    assert.match(lines.at(-1) ?? "", /API server stops/);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
