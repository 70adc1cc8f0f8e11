/**
 * `npm run test:kube-api [-- --store embedded|kubernetes] [PATTERN]`: the control plane's suites on a
 * real Kubernetes API server, or, to compare, on the embedded one. Where they differ the embedded one
 * is wrong.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { KUBERNETES_FOLDER } from "@heddle/testkit/api-store";
import { startKubeApi } from "../e2e/kube/api-server.ts";
import { runTests } from "./run-tests.ts";
import { testFiles } from "./test-suites.ts";

/** Those that take their API server from the testkit. */
function suites(): string[] {
  return testFiles("fast").filter(
    (file) =>
      file.includes("/packages/control/") &&
      readFileSync(file, "utf8").includes('from "@heddle/testkit/api-store"'),
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { store: { type: "string", default: "kubernetes" } },
});
if (values.store !== "embedded" && values.store !== "kubernetes") {
  console.error(`Cannot test on "${values.store}": the stores are embedded and kubernetes`);
  process.exit(2);
}
const pattern = positionals.length === 0 ? undefined : positionals.join(" ");
const folder = mkdtempSync(join(tmpdir(), "heddle-kube-api-"));
let isOk = false;
try {
  await using parts = new AsyncDisposableStack();
  if (values.store === "kubernetes") {
    parts.use(await startKubeApi(folder));
    process.env[KUBERNETES_FOLDER] = folder;
  }
  // One at a time: they share the server.
  isOk = (await runTests([{ files: suites(), concurrency: 1 }], pattern)).ok;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(isOk ? 0 : 1);
