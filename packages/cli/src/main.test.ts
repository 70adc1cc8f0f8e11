import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { selfCommand } from "./self.ts";
import { runInProcess as cli } from "./testing/run.ts";

/** Runs a command line as a process of its own, with nothing of our environment. */
function process_(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { readonly code: number | null; readonly err: string } {
  const { command, args: lead } = selfCommand();
  const { status, stderr } = spawnSync(command, [...lead, ...args], { env, encoding: "utf8" });
  return { code: status, err: stderr };
}

test("heddle help lists every command, each of which has its own help", async () => {
  const { code, out } = await cli(["help"]);
  assert.equal(code, 0);
  const names = [...out.matchAll(/^ {2}(\w+) /gm)].map((match) => match[1]!);
  assert.ok(names.length >= 10, names.join());
  for (const name of names) {
    const help = await cli([name, "--help"]);
    assert.equal(help.code, 0, name);
    assert.match(help.out, new RegExp(`usage: heddle ${name}\\b`));
  }
});

test("an unknown command, an unknown flag and a missing argument are refused with 2 and a hint", async () => {
  assert.deepEqual(await cli(["frobnicate"]), {
    code: 2,
    out: "",
    err: 'heddle: unknown command "frobnicate"; "heddle help" lists them',
  });
  const flag = await cli(["version", "--nope"]);
  assert.equal(flag.code, 2);
  assert.match(flag.err, /Unknown option '--nope'[\s\S]*usage: heddle version/);
  const token = await cli(["join"]);
  assert.equal(token.code, 2);
  assert.match(token.err, /one TOKEN is needed/);
  assert.equal((await cli([])).code, 2);
});

test("heddle version --client prints the one version of all packages", async () => {
  assert.deepEqual(await cli(["version", "--client", "--short"]), {
    code: 0,
    out: "0.1.0",
    err: "",
  });
});

test("heddle join refuses a token that is none, without touching the state folder", async () => {
  const { code, err } = await cli([
    "join",
    "hdl1.x",
    "--rootless",
    "--state-dir",
    "/nonexistent/x",
  ]);
  assert.equal(code, 1);
  assert.match(err, /Cannot use the token: the token is damaged/);
});

test("heddle status and leave say that a machine has not joined", async () => {
  for (const name of ["status", "leave"]) {
    const { code, err } = await cli([name, "--state-dir", "/nonexistent/heddle"]);
    assert.equal(code, 1);
    assert.match(err, /this machine has not joined a mesh/);
  }
});

test("heddle invite checks names, ports and lifetimes before it calls anybody", async () => {
  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [["--name", "Bad_Name"], /"Bad_Name" is not a lower-case DNS label/],
    [["--name", "a", "--service-port", "99999"], /--service-port takes PORT/],
    [["--name", "a", "--ttl", "61"], /--ttl takes 1 to 60 minutes/],
    [["--name", "a", "--label", "novalue"], /--label takes KEY=VALUE/],
    [["--name", "a", "-o", "xml"], /-o takes text or json/],
    [[], /Cannot use --name: it is missing/],
  ];
  for (const [args, reason] of refused) {
    const { code, err } = await cli(["invite", ...args], { KUBECONFIG: "/nonexistent" });
    assert.notEqual(code, 0, args.join(" "));
    assert.match(err, reason);
  }
});

test("[X09] heddle proxy without settings exits 64 and names every variable that is missing", () => {
  const { code, err } = process_(["proxy"], { PATH: process.env["PATH"] ?? "" });
  assert.equal(code, 64);
  for (const name of [
    "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS",
    "LINKERD2_PROXY_POLICY_WORKLOAD",
    "LINKERD2_PROXY_DESTINATION_SVC_ADDR",
    "LINKERD2_PROXY_POLICY_SVC_ADDR",
  ]) {
    assert.ok(err.includes(name), `${name} is not in: ${err}`);
  }
});

test("heddle control with bad settings exits 64 and names every one of them", () => {
  const { code, err } = process_(["control"], {
    PATH: process.env["PATH"] ?? "",
    HEDDLE_CONTROL_LISTEN_IP: "nowhere",
    HEDDLE_CONTROL_POLICY_PORT: "99999",
  });
  assert.equal(code, 64);
  assert.match(err, /HEDDLE_CONTROL_LISTEN_IP="nowhere"[\s\S]*HEDDLE_CONTROL_POLICY_PORT="99999"/);
});

test("./heddle at the root runs the CLI from a clone", () => {
  const script = join(import.meta.dirname, "..", "..", "..", "heddle");
  const { status, stdout } = spawnSync(script, ["version", "--client"], { encoding: "utf8" });
  assert.equal(status, 0);
  assert.equal(stdout, "Client version: 0.1.0\n");
});
