import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./test-suites.ts";

/** What runs each command of the README: a test of ours, or the run that this test is part of. */
const RUN_BY: Readonly<Record<string, string>> = {
  "npm start": "e2e/demo.test.ts, which ends it after the story",
  "npm start -- --once": "e2e/demo.test.ts",
  "npm run demo:hosts -- --once": "e2e/hosts.test.ts",
  "npm run demo:kube -- --once": "e2e/kube-demo.test.ts",
  "npm test": ".ci/run",
  "npm run ok": "its steps are those of .ci/run",
  "npm run test:kube-api": "e2e/kube-api.test.ts",
  "npm run images": "e2e/images.test.ts",
  "npm run test:kube": "e2e/kube-pods.test.ts is what it runs",
  "npm run conformance":
    "scripts/conformance-doc.test.ts reads the list; the rest needs a whole run",
  "./heddle version --client": "below",
};

/** Commands in fenced blocks marked `sh`. */
function commands(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap((block) =>
    block[1]!.split("\n").filter((line) => line !== ""),
  );
}

const README = readFileSync(join(ROOT, "README.md"), "utf8");

test("every command of the README is run by something", () => {
  const found = commands(README);
  assert.ok(found.length > 0);
  assert.deepEqual(
    found.filter((command) => RUN_BY[command] === undefined),
    [],
  );
});

test("every npm script of the README exists", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const scripts = [
    ...README.matchAll(
      /npm (?:run )?(start|test|ok|conformance:gateway|conformance|bench|images|test:kube-api|test:kube|demo:hosts|demo:kube)\b/g,
    ),
  ];
  for (const [, name] of scripts) assert.ok(manifest.scripts[name!] !== undefined, String(name));
});

test("every ./heddle command that the README names has help", () => {
  const names = new Set([...README.matchAll(/\.\/heddle ([a-z]+)/g)].map((match) => match[1]!));
  assert.ok(names.has("join"));
  for (const name of names) {
    const { status, stderr } = spawnSync(join(ROOT, "heddle"), [name, "--help"], {
      encoding: "utf8",
    });
    assert.equal(status, 0, `${name}: ${stderr}`);
  }
});

test("every file that the threat model, the architecture and the compatibility page name is there", () => {
  for (const page of ["docs/threat-model.md", "ARCHITECTURE.md", "docs/compatibility.md"]) {
    const text = readFileSync(join(ROOT, page), "utf8");
    const named = [...text.matchAll(/`((?:packages|e2e|scripts|docs|bench)\/[^`\s]*)`/g)];
    assert.ok(named.length > 0, page);
    for (const [, path] of named) {
      assert.ok(globSync(path!, { cwd: ROOT }).length > 0, `${page} names ${path}`);
    }
  }
});

test("every folder that the README's map names is there", () => {
  const folders = [...README.matchAll(/^\| `([\w/]+)` \|/gm)].map((match) => match[1]!);
  assert.ok(folders.length > 10);
  for (const folder of folders) assert.ok(existsSync(join(ROOT, folder)), folder);
});
