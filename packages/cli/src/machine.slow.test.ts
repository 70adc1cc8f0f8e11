import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { StateFolder } from "@heddle/agent/state";
import { agentStatus } from "@heddle/agent/status-client";
import { derOf } from "@heddle/agent/svid";
import { SpiffeWorkloadAPI } from "@heddle/api/gen/workload_pb";
import { systemClock } from "@heddle/base/clock";
import { Log } from "@heddle/base/log";
import { type Control, startControl } from "@heddle/control/main";
import { ControlHost, controlSettings } from "@heddle/control/testing/control-host";
import { LEASES } from "@heddle/kube/types/core";
import { EXTERNAL_WORKLOADS } from "@heddle/kube/types/linkerd";
import { dial } from "@heddle/net/dialer";
import { GrpcClient } from "@heddle/net/grpc/client";
import { Http2Client } from "@heddle/net/http2/client";
import { ApiStore } from "@heddle/testkit/api-store";
import { grpcMetadata } from "@heddle/testkit/grpc-metadata";
import { parse } from "yaml";
import { eventually } from "./mesh.ts";
import { selfCommand } from "./self.ts";

// A rootless machine from join to leave: the commands, the agent and its proxy are processes.

const LOOPBACK_MESH = "127.79.0.0/16";
const BOUND = AbortSignal.timeout(240_000);

/** From the failure of a port or a machine to its ExternalWorkload that says so. */
const NOT_READY_WITHIN_MS = 10_000;

let store: ApiStore;
let host: ControlHost;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "heddle-machine-"));
  await startMesh({});
});

async function startMesh(more: Readonly<Record<string, string>>): Promise<void> {
  store = await ApiStore.start();
  const env = { HEDDLE_CONTROL_LISTEN_IP: "127.79.3.1", HEDDLE_LOOPBACK_MESH: LOOPBACK_MESH };
  host = await ControlHost.start(store, { env: { ...env, ...more } });
}

after(async () => {
  // Not there if no test of this file was asked for.
  if (host === undefined) return;
  await host[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the CLI as a process, to its end. */
async function heddle(...args: readonly string[]): Promise<Said> {
  const { command, args: lead } = selfCommand();
  const env = {
    PATH: process.env["PATH"] ?? "",
    HEDDLE_LOOPBACK_MESH: LOOPBACK_MESH,
    KUBECONFIG: join(store.folder, "admin.kubeconfig"),
  };
  const child = spawn(command, [...lead, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    child.stdout.setEncoding("utf8").toArray(),
    child.stderr.setEncoding("utf8").toArray(),
    new Promise<number | null>((resolve) => child.once("close", resolve)),
  ]);
  return { code, out: out.join(""), err: err.join("") };
}

async function listen(at: string, port = 0): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}).end());
  await new Promise<void>((resolve) => server.listen(port, at, resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

async function closed(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

/** A machine with one port, joined; what is left of it at the end is killed and forgotten. */
class Machine implements AsyncDisposable {
  readonly name: string;
  readonly ip: string;
  readonly state: StateFolder;
  app: Server;

  private constructor(name: string, ip: string, app: Server) {
    this.name = name;
    this.ip = ip;
    this.app = app;
    this.state = new StateFolder(join(folder, name));
  }

  static async start(name: string, ip: string, appAt = "127.0.0.1"): Promise<Machine> {
    return new Machine(name, ip, await listen(appAt));
  }

  async join(...flags: readonly string[]): Promise<Said> {
    const port = `${portOf(this.app)}:main`;
    const { out } = await heddle("invite", "--name", this.name, "--service-port", port);
    const rest = ["--rootless", "--ip", this.ip, ...flags];
    return await heddle("join", out.trim(), "--state-dir", this.state.path, ...rest);
  }

  async run(command: string, ...flags: readonly string[]): Promise<Said> {
    return await heddle(command, "--state-dir", this.state.path, ...flags);
  }

  /** The condition `Ready` in the store, as `status reason: message`. */
  async ready(): Promise<string> {
    const ref = { namespace: "default", name: this.name };
    const { status } = await store.client.get(EXTERNAL_WORKLOADS, ref);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready === undefined ? "none" : `${ready.status} ${ready.reason}: ${ready.message}`;
  }

  /** @returns milliseconds until then. */
  async becomes(pattern: RegExp): Promise<number> {
    const startedMs = performance.now();
    await eventually(`${this.name} ${pattern.source}`, BOUND, async () => {
      assert.match(await this.ready(), pattern);
    });
    return performance.now() - startedMs;
  }

  async kill(): Promise<void> {
    const { pid } = await agentStatus(this.state);
    process.kill(pid, "SIGKILL");
    await eventually("the agent's end", BOUND, async () => {
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closed(this.app);
    if (this.state.exists) await this.run("leave");
  }
}

test("a machine is ready while its ports answer, is shown by status, and is gone after leave", async () => {
  await using machine = await Machine.start("life", "127.79.3.10");
  const joined = await machine.join();
  assert.equal(joined.code, 0, joined.err);
  assert.match(joined.out, /admitted as spiffe:\/\/cluster\.local\/ns\/default\/external\/life/);
  await machine.becomes(/^True Probed/);
  assert.equal(statSync(machine.state.path).mode & 0o777, 0o700);
  for (const name of readdirSync(machine.state.path)) {
    assert.equal(statSync(join(machine.state.path, name)).mode & 0o777, 0o600, name);
  }

  const text = await machine.run("status");
  assert.equal(text.code, 0, text.err);
  assert.match(text.out, /^machine {3}default\/life$/m);
  assert.match(text.out, /^state {5}ready$/m);
  const json = JSON.parse((await machine.run("status", "-o", "json")).out);
  const yaml = parse((await machine.run("status", "-o", "yaml")).out);
  assert.deepEqual(yaml.membership, json.membership);
  assert.equal(json.membership.spiffeId, "spiffe://cluster.local/ns/default/external/life");
  assert.equal(json.isReady, true);

  const port = portOf(machine.app);
  await closed(machine.app);
  const failed = new RegExp(`^False ProbeFailed: port ${port}: ECONNREFUSED`);
  assert.ok((await machine.becomes(failed)) < NOT_READY_WITHIN_MS);
  const dead = await machine.run("status");
  assert.equal(dead.code, 1);
  assert.match(dead.out, new RegExp(`^state {5}not ready: port ${port}: ECONNREFUSED`, "m"));
  machine.app = await listen("127.0.0.1", port);
  await machine.becomes(/^True Probed/);

  const left = await machine.run("leave");
  assert.equal(left.code, 0, left.err);
  assert.equal(left.err, "");
  const ref = { namespace: "default", name: "life" };
  assert.equal(await store.client.find(EXTERNAL_WORKLOADS, ref), undefined);
  const lease = { namespace: "default", name: "heddle-machine-life" };
  assert.equal(await store.client.find(LEASES, lease), undefined);
  assert.equal(machine.state.exists, false);
});

test("a machine that falls silent is marked so by the control plane", async () => {
  await using machine = await Machine.start("silent", "127.79.3.11");
  assert.equal((await machine.join()).code, 0);
  await machine.becomes(/^True/);
  await machine.kill();
  const silent = machine.becomes(/^False Silent: no report for \d+ s/);
  assert.ok((await silent) < NOT_READY_WITHIN_MS);
});

test("a rootless join refuses a port that listens around the mesh, and so does each probe", async () => {
  await using open = await Machine.start("open", "127.79.3.12", "0.0.0.0");
  const refused = await open.join();
  assert.equal(refused.code, 1);
  assert.match(refused.err, /listens at 0\.0\.0\.0:\d+, where it can be reached around the mesh/);
  assert.match(refused.err, /let it listen at 127\.0\.0\.1 only, or say --allow-bypass/);
  const ref = { namespace: "default", name: "open" };
  assert.equal(await store.client.find(EXTERNAL_WORKLOADS, ref), undefined);
  const allowed = await open.join("--allow-bypass");
  assert.equal(allowed.code, 0, allowed.err);
  await open.becomes(/^True/);

  await using late = await Machine.start("late", "127.79.3.13");
  assert.equal((await late.join()).code, 0);
  await late.becomes(/^True/);
  const port = portOf(late.app);
  await closed(late.app);
  late.app = await listen("0.0.0.0", port);
  await late.becomes(/^False ProbeFailed: .*listens at 0\.0\.0\.0, around the mesh/);
});

test("without the control plane an agent starts, serves the identity it holds, and can leave", async () => {
  await using machine = await Machine.start("alone", "127.79.3.14");
  assert.equal((await machine.join()).code, 0);
  await machine.becomes(/^True/);
  const held = derOf(readFileSync(machine.state.svid, "utf8"));
  await machine.kill();
  await host.control[Symbol.asyncDispose]();
  let again: Control | undefined;
  try {
    const { command, args } = selfCommand();
    const rest = ["agent", "--state-dir", machine.state.path];
    const agent = spawn(command, [...args, ...rest], { stdio: "ignore", env: {} });
    const gone = new Promise((resolve) => agent.once("exit", resolve));
    await eventually("the agent's answer", BOUND, async () => {
      assert.deepEqual(await servedChain(machine.state.workloadSocket), Buffer.concat(held));
    });
    assert.equal((await agentStatus(machine.state)).lastReport, undefined);

    again = await restartControl();
    await eventually("a report", BOUND, async () => {
      assert.notEqual((await agentStatus(machine.state)).lastReport, undefined);
    });
    await again[Symbol.asyncDispose]();
    again = undefined;

    const left = await machine.run("leave");
    assert.match(left.out, /has left the mesh; agent, proxy, rules and keys are gone/);
    assert.match(left.err, /The control plane could not be told: Cannot reach the control plane/);
    assert.match(left.err, /kubectl -n default delete externalworkload alone/);
    assert.equal(machine.state.exists, false);
    await gone;
  } finally {
    await again?.[Symbol.asyncDispose]();
  }
});

test("an agent renews its identity at two thirds of its life, long after its token was used up", async () => {
  await host[Symbol.asyncDispose]();
  await startMesh({
    HEDDLE_CONTROL_IDENTITY_ISSUANCE_LIFETIME: "45s",
    HEDDLE_CONTROL_IDENTITY_CLOCK_SKEW_ALLOWANCE: "0s",
  });
  await using machine = await Machine.start("renewed", "127.79.3.15");
  assert.equal((await machine.join()).code, 0);
  await machine.becomes(/^True/);
  const { validFrom, validTo, publicKey, serialNumber } = await servedLeaf(machine);
  assert.equal(Date.parse(validTo) - Date.parse(validFrom), 45_000);

  await eventually("another certificate", BOUND, async () => {
    assert.notEqual((await servedLeaf(machine)).serialNumber, serialNumber);
  });
  const next = await servedLeaf(machine);
  assert.ok(Math.abs(Date.parse(next.validFrom) - Date.parse(validFrom) - 30_000) < 5_000);
  assert.equal(next.subjectAltName, "URI:spiffe://cluster.local/ns/default/external/renewed");
  assert.deepEqual(next.publicKey.export(SPKI), publicKey.export(SPKI), "the key stays");
  const [written] = derOf(readFileSync(machine.state.svid, "utf8"));
  assert.deepEqual(Buffer.from(written!), next.raw, "it is written down");
  assert.match(await machine.ready(), /^True/);
});

const SPKI = { type: "spki", format: "der" } as const;

async function servedLeaf(machine: Machine): Promise<X509Certificate> {
  return new X509Certificate(await servedChain(machine.state.workloadSocket));
}

/** A control plane in place of one that ended, at the same addresses. */
async function restartControl(): Promise<Control> {
  const { expansion, identity, destination, policy } = host.control.addresses;
  const env = {
    HEDDLE_CONTROL_LISTEN_IP: "127.79.3.1",
    HEDDLE_LOOPBACK_MESH: LOOPBACK_MESH,
    HEDDLE_CONTROL_EXPANSION_PORT: String(expansion!.port),
    HEDDLE_CONTROL_IDENTITY_PORT: String(identity!.port),
    HEDDLE_CONTROL_DESTINATION_PORT: String(destination!.port),
    HEDDLE_CONTROL_POLICY_PORT: String(policy!.port),
  };
  const client = store.controlClient();
  return await startControl({
    settings: controlSettings(env),
    client,
    log: Log.silent(),
    clock: systemClock,
  });
}

/** The chain that the Workload API serves, in DER. */
async function servedChain(path: string): Promise<Buffer> {
  await using connection = new Http2Client(await dial({ address: { path }, timeoutMs: 5_000 }));
  const metadata = grpcMetadata({ "workload.spiffe.io": "true" });
  const client = new GrpcClient(connection, { authority: "localhost", metadata });
  const { fetchX509SVID } = SpiffeWorkloadAPI.method;
  for await (const { svids } of client.serverStream(fetchX509SVID, {})) {
    return Buffer.from(svids[0]!.x509Svid);
  }
  throw new Error("the stream ended");
}
