import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ApiStore } from "@heddle/testkit/api-store";
import { TestCa } from "@heddle/testkit/ca";
import { eventually } from "../mesh.ts";
import type { CheckResult } from "./check.ts";
import { extensionFiles, findExtensions } from "./extension-search.ts";
import { readResults, runExtensions } from "./extensions.ts";
import { runBounded } from "./run-bounded.ts";
import { MeshWorld } from "./testing/mesh-world.ts";

const signal = new AbortController().signal;

/** Not so of what has ended and was not waited for. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    // There is no such process any more.
    return false;
  }
}

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "heddle-extensions-"));

  /** A program of the shell, which may be run unless `mode` says otherwise. */
  program(name: string, script: string, mode = 0o755): string {
    const path = join(this.path, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, mode);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Answers to `_extension-metadata` and to `check`. */
function extension(metadata: object, answer: string): string {
  return `case "$1" in
_extension-metadata) echo '${JSON.stringify(metadata)}' ;;
check) ${answer} ;;
*) echo "usage" >&2; exit 1 ;;
esac`;
}

const ANSWER = JSON.stringify({
  success: false,
  categories: [
    {
      categoryName: "linkerd-mine",
      checks: [
        { description: "is there", result: "success" },
        {
          description: "is well",
          error: "is ill",
          hint: "https://example.com/#x",
          result: "error",
        },
      ],
    },
  ],
});

test("[HC22] commands of extensions are found on the path, the first of each name", () => {
  using first = new Folder();
  using second = new Folder();
  const mine = first.program("linkerd-mine", "");
  first.program("linkerd-notes.txt", "", 0o644);
  first.program("other-mine", "");
  mkdirSync(join(first.path, "linkerd-folder"));
  second.program("linkerd-mine", "");
  const ours = second.program("heddle-mine", "");
  symlinkSync(ours, join(second.path, "linkerd-link"));
  symlinkSync("/nonexistent", join(second.path, "linkerd-broken"));
  const path = [first.path, "/nonexistent", "", "relative", second.path].join(":");
  assert.deepEqual([...extensionFiles(path)].sort(), [
    ["heddle-mine", ours],
    ["linkerd-link", join(second.path, "linkerd-link")],
    ["linkerd-mine", mine],
  ]);
});

test("[HC22] those run that always want to, and those whose extension is installed", async () => {
  using folder = new Folder();
  const always = (name: string): object => ({ name, checks: "always" });
  folder.program("linkerd-always", extension(always("linkerd-always"), ""));
  folder.program("linkerd-liar", extension(always("linkerd-always"), ""));
  folder.program("linkerd-mine", extension({ name: "linkerd-mine", checks: "never" }, ""));
  folder.program("heddle-ours", "exit 1");
  folder.program("linkerd-absent", "echo '[]'");
  const found = await findExtensions({
    path: folder.path,
    installed: ["mine", "ours", "viz", "gone", "gone"],
    builtIn: ["viz", "multicluster"],
    self: { command: "/bin/heddle", args: ["--x"] },
    signal,
  });
  assert.deepEqual(
    found.commands.map(({ name }) => name),
    ["heddle-ours", "linkerd-always", "linkerd-mine", "linkerd-viz"],
  );
  assert.deepEqual(found.commands.at(-1), {
    name: "linkerd-viz",
    command: "/bin/heddle",
    args: ["--x", "viz"],
  });
  assert.deepEqual(found.missing, ["gone"]);
});

interface Told {
  readonly isSuccess: boolean;
  readonly results: readonly CheckResult[];
  readonly parts: number;
}

async function tell(script: string, missing: readonly string[] = []): Promise<Told> {
  using folder = new Folder();
  const command = folder.program("linkerd-mine", script);
  const results: CheckResult[] = [];
  let parts = 0;
  const isSuccess = await runExtensions(
    { commands: [{ name: "linkerd-mine", command, args: [] }], missing },
    {
      flags: ["--wait=5m0s", "--proxy=false"],
      waitMs: 0,
      cliVersion: "edge-26.6.3",
      onResult: (result) => results.push(result),
      onEnd: () => parts++,
      signal,
    },
  );
  return { isSuccess, results, parts };
}

test("[HC23] what an extension tells in JSON is told, whatever its exit code", async () => {
  const { isSuccess, results, parts } = await tell(`echo '${ANSWER}'; exit 1`);
  assert.equal(isSuccess, false);
  assert.equal(parts, 1);
  assert.deepEqual(results, [
    { category: "linkerd-mine", description: "is there", result: "success" },
    {
      category: "linkerd-mine",
      description: "is well",
      result: "error",
      error: "is ill",
      hint: "https://example.com/#x",
    },
  ]);
});

test("[HC23] an extension's check is given our flags, and asked for JSON", async () => {
  const { results } = await tell('echo "$@"');
  assert.equal(results[0]?.error, "check --wait=5m0s --proxy=false --output=json");
  const { description = "", category, hint } = results[0]!;
  assert.match(
    description,
    /^Running: \/.*\/linkerd-mine check --wait=5m0s --proxy=false --output=json$/,
  );
  assert.equal(category, "linkerd-mine");
  assert.equal(hint, "https://linkerd.io/2/checks/#extensions");
});

test("[HC23] an answer that is no JSON is shown: what was said of errors, or else what was said", async () => {
  for (const [script, shown] of [
    ["echo bad; echo worse >&2", "worse"],
    ["echo bad", "bad"],
    ["exit 3", "it said nothing"],
    ["echo '{}'", "{}"],
    ['echo \'{"categories":[{"categoryName":3}]}\'', '{"categories":[{"categoryName":3}]}'],
    ["printf 'a\\033[2Jb'", "a[2Jb"],
  ] as const) {
    const { isSuccess, results } = await tell(script);
    assert.equal(isSuccess, false, script);
    assert.deepEqual([results[0]?.result, results[0]?.error], ["error", shown], script);
  }
});

test("[HC23] an extension without a command is a warning in its own category", async () => {
  const { isSuccess, results, parts } = await tell(`echo '{"categories":[]}'`, ["gone"]);
  assert.equal(isSuccess, true);
  assert.equal(parts, 2);
  assert.deepEqual(results, [
    {
      category: "linkerd-gone",
      description: "Linkerd extension command linkerd-gone exists",
      result: "warning",
      error: "neither linkerd-gone nor heddle-gone is an executable on the path",
      hint: "https://linkerd.io/2/checks/#extensions",
    },
  ]);
});

test("[HC23] check runs the extensions of the mesh after its own checks", async () => {
  await using world = await MeshWorld.start(await ApiStore.start(), await TestCa.root());
  const path = join(world.bin, "linkerd-mine");
  writeFileSync(path, `#!/bin/sh\n${extension({}, `echo '${ANSWER}'`)}\n`, { mode: 0o755 });
  for (const name of ["mine", "gone"]) {
    await world.namespace(name, { "linkerd.io/extension": name });
  }
  const { code, results } = await world.check();
  assert.equal(code, 1);
  assert.deepEqual(
    results.slice(-3).map(({ category, result }) => `${category} ${result}`),
    ["linkerd-mine success", "linkerd-mine error", "linkerd-gone warning"],
  );
  const { out } = await world.run("-o", "short");
  assert.match(out, /^linkerd-mine\n-+\n\u00d7 is well\n.*\n\nStatus check results are \u00d7$/s);
  // Documents follow each other: ours, and one of each extension.
  const json = await world.run("-o", "json");
  assert.equal([...json.out.matchAll(/^\{$/gm)].length, 3);
  writeFileSync(path, "#!/bin/sh\necho $@\n");
  const asked = await world.check("--proxy", "-L", "linkerd");
  assert.equal(
    asked.results.find(({ category }) => category === "linkerd-mine")?.error,
    `check --kubeconfig=${world.kubeconfig} --linkerd-namespace=linkerd --verbose=false --proxy=true --wait=0s --output=json`,
  );
  const before = await world.check("--crds");
  assert.equal(
    before.results.some(({ category }) => category === "linkerd-mine"),
    false,
  );
});

test("a list that Go writes as null is empty, and results of other kinds are none", () => {
  const answer = (checks: unknown): string =>
    JSON.stringify({ categories: [{ categoryName: "a", checks }] });
  assert.deepEqual(readResults(answer(null)), []);
  assert.equal(readResults(answer([{ description: "x", result: "odd" }])), undefined);
  assert.equal(readResults(answer([null])), undefined);
  assert.equal(readResults("null"), undefined);
});

test("a foreign program is ended when it takes too long, says too much, or we are stopped", async () => {
  using folder = new Folder();
  const sleeper = folder.program("sleeper", "sleep 60");
  const slow = await runBounded({ command: sleeper, args: [], timeoutMs: 200, signal });
  assert.equal(slow.problem, "it did not end within 0.2 s");
  const pidFile = join(folder.path, "pid");
  const flood = folder.program("flood", `sleep 60 & echo $! > ${pidFile}; exec yes`);
  const loud = await runBounded({ command: flood, args: [], timeoutMs: 60_000, signal });
  assert.match(loud.problem ?? "", /wrote more than/);
  // What it has started ends too; the kernel may take a moment for it.
  const started = Number(readFileSync(pidFile, "utf8"));
  assert.ok(started > 0);
  await eventually("its child to end", signal, async () => assert.ok(!isAlive(started)));
  const absent = await runBounded({ command: "/nonexistent/x", args: [], timeoutMs: 1000, signal });
  assert.match(absent.problem ?? "", /ENOENT/);
  const stop = new AbortController();
  const run = { command: sleeper, args: [], timeoutMs: 60_000, signal: stop.signal };
  const stopped = runBounded(run);
  stop.abort(new Error("enough"));
  await assert.rejects(stopped, /enough/);
  await assert.rejects(runBounded(run), /enough/);
});
