import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { splitRootFlags } from "./root-flags.ts";
import { similarWord } from "./similar.ts";
import { runInProcess } from "./testing/run.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const folder = mkdtempSync(join(tmpdir(), "heddle-root-"));
after(() => rmSync(folder, { recursive: true, force: true }));

test("flags of all commands may stand before the command", async () => {
  assert.deepEqual(splitRootFlags(["--context=a", "-L", "b", "--verbose", "check", "-L", "c"]), {
    lead: ["--context=a", "-L", "b", "--verbose"],
    rest: ["check", "-L", "c"],
  });
  const { code, err } = await runInProcess(["--kubeconfig", "/nonexistent/k", "authz", "po/a"]);
  assert.equal(code, 1);
  assert.match(err, /\/nonexistent\/k cannot be read/);
  const below = await runInProcess(["--api-addr", "nowhere", "diagnostics", "profile", "a:1"]);
  assert.match(below.err, /--api-addr takes HOST:PORT, not "nowhere"/);
});

test("--verbose tells where an error comes from, and every command of Linkerd's takes its flags", async () => {
  const lead = ["--verbose", "--cni-namespace", "cni", "--context", "c", "--kubeconfig", "/no/k"];
  const { code, err } = await runInProcess([...lead, "authz", "po/a"]);
  assert.equal(code, 1);
  assert.match(err, /^ {4}at .*kubeconfig\.ts/m);
  for (const [words, wanted] of [
    [["completion", "fish"], 0],
    [["version"], 0],
    [["uninject", "/no/file"], 1],
    [["inject", "/no/file"], 1],
    [["identity", "pod"], 1],
    [["profile", "--template", "web"], 1],
    [["diagnostics", "profile", "a:1"], 1],
    [["diagnostics", "controller-metrics"], 1],
    [["diagnostics", "proxy-metrics", "po/a"], 1],
  ] as const) {
    assert.equal((await runInProcess([...lead, ...words])).code, wanted, words.join(" "));
  }
});

test("help tells of one command, and of one below it", async () => {
  assert.match((await runInProcess(["help", "authz"])).out, /usage: heddle authz /);
  const below = await runInProcess(["help", "diagnostics", "policy"]);
  assert.match(below.out, /usage: heddle diagnostics policy /);
});

test("a slip is told with what was meant", async () => {
  const { code, err } = await runInProcess(["injcet"], { PATH: folder });
  assert.deepEqual(
    [code, err],
    [2, 'heddle: unknown command "injcet"; did you mean "inject"?; "heddle help" lists them'],
  );
  assert.equal(similarWord("xyz", ["up", "version"]), undefined);
  assert.equal(similarWord("x".repeat(1_000_000), ["up"]), undefined);
});

test("an unknown command is looked for on the PATH, as linkerd-NAME, with all that follows", () => {
  const path = join(folder, "linkerd-greet");
  writeFileSync(path, '#!/bin/sh\ncat\necho "$# $2"\necho sad >&2\nexit $CODE\n');
  chmodSync(path, 0o755);
  writeFileSync(join(folder, "linkerd-plain"), "no program\n");
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    spawnSync(join(ROOT, "heddle"), args, {
      encoding: "utf8",
      input: "in\n",
      env: { ...process.env, PATH: `${folder}:${process.env["PATH"]}`, CODE: "0", ...env },
    });
  const good = run(["greet", "--a", "b c"]);
  assert.deepEqual([good.status, good.stdout, good.stderr], [0, "in\n2 b c\n", "sad\n"]);
  const bad = run(["greet"], { CODE: "7" });
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /linkerd-greet: exit status 7/);
  const lead = run(["-L", "mesh", "greet"]);
  assert.equal(lead.status, 1);
  assert.match(lead.stderr, /flags may not stand before the name of an extension \(greet\)/);
  assert.match(run(["plain"]).stderr, /unknown command "plain"/);
  assert.match(run(["../../bin/sh"]).stderr, /unknown command/);
});

test("the CLI answers to the name linkerd, in its help, errors and usages", () => {
  symlinkSync(join(ROOT, "heddle"), join(folder, "linkerd"));
  for (const path of [join(folder, "linkerd"), join(ROOT, "linkerd")]) {
    const run = (...args: readonly string[]) => spawnSync(path, args, { encoding: "utf8" });
    assert.match(run("help").stdout, /usage: linkerd COMMAND/);
    assert.match(
      run("version", "--nope").stderr,
      /^linkerd version: [\s\S]*usage: linkerd version/,
    );
    assert.equal(run("version", "--client").stdout, "Client version: 0.1.0\n");
  }
});

test("--as-group needs --as", async () => {
  const lone = await runInProcess(["authz", "--as-group", "a", "po/web"], { HOME: folder });
  assert.equal(lone.code, 2);
  assert.match(lone.err, /--as-group needs --as/);
});
