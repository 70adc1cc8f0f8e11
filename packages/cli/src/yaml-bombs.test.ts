import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runInProcess } from "./testing/run.ts";

/** A few hundred bytes that stand for a hundred million values. */
function bomb(): string {
  const lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 8; level++) {
    const list = Array.from({ length: 10 }, () => `*l${level - 1}`).join(", ");
    lines.push(`l${level}: &l${level} [${list}]`);
  }
  return `${lines.join("\n")}\n`;
}

let folder: string;
let file: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "heddle-bombs-"));
  file = join(folder, "bomb.yaml");
  writeFileSync(file, bomb());
});
after(() => rmSync(folder, { recursive: true, force: true }));

for (const args of [
  ["inject", "--ignore-cluster"],
  ["inject", "--ignore-cluster", "--manual"],
  ["uninject"],
  ["install", "--ignore-cluster", "-f"],
  ["install", "--crds", "--ignore-cluster", "--values"],
  ["install-cni", "-f"],
  ["upgrade", "--from-manifests"],
  ["profile", "--ignore-cluster", "web", "--open-api"],
  ["check", "--kubeconfig"],
]) {
  test(`${args.join(" ")} refuses a document whose aliases multiply, and says why`, async () => {
    const { code, out, err } = await runInProcess([...args, file]);
    assert.notEqual(code, 0);
    assert.match(out + err, /Excessive alias count/);
    assert.doesNotMatch(out + err, /\n\s+at /);
  });
}
