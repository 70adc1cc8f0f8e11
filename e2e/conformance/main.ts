/**
 * `npm run conformance:gateway`: the Gateway API's own mesh suite, against our control plane and
 * proxies on a node with real pods. Needs root and Go. Writes the suite's report to
 * `docs/conformance/`, what the suite says to `build/`, and ends with 0 only if every test passes.
 *
 * `--features core` leaves out extended features; `--run-test NAME` runs only that test, and
 * `--timeouts 'MaxTimeToConsistency:5s'` shortens the waiting, both without a report.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installLine, providePackages } from "../../scripts/machine.ts";
import { ROOT } from "../../scripts/test-suites.ts";
import { isBuilt, provideTools, toolPath } from "../../scripts/tools.ts";
import { MeshNode } from "../kube/mesh-node.ts";
import { nodeProblem } from "../kube/node.ts";
import { elapsed } from "../play.ts";
import { writeEchoImage } from "./echo-image.ts";
import { CORE, EXTENDED } from "./features.ts";
import { gatewayApi, PROGRAMS, SUITE } from "./programs.ts";
import { parseResults, table } from "./results.ts";

const { values } = parseArgs({
  options: {
    features: { type: "string" },
    "run-test": { type: "string" },
    timeouts: { type: "string" },
  },
});

async function run(): Promise<number> {
  const absent = providePackages();
  if (absent.length > 0) {
    console.error(`conformance:gateway needs more programs; try: ${installLine(absent)}`);
    return 1;
  }
  await provideTools();
  await provideTools(PROGRAMS);
  const unbuilt = PROGRAMS.filter((program) => !isBuilt(program)).map(({ name }) => name);
  const problem = unbuilt.length > 0 ? `not built: ${unbuilt.join(", ")}` : nodeProblem();
  if (problem !== false) {
    console.error(`conformance:gateway cannot run: ${problem}`);
    return 1;
  }
  await using parts = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "heddle-conformance-"));
  parts.defer(() => rmSync(folder, { recursive: true, force: true }));
  console.log("Starting a Kubernetes with one node, and making images…");
  const node = parts.use(await MeshNode.start());
  await node.importImages([await writeEchoImage(folder)]);
  const { version, crds } = await gatewayApi();
  await node.kubectl(["apply", "--server-side", "-k", crds]);
  await node.installCrds();
  await node.installControlPlane();
  console.log(`${elapsed()}  the mesh is up; running the suite of Gateway API ${version}…`);
  return await runSuite(node, folder, version);
}

async function runSuite(node: MeshNode, folder: string, version: string): Promise<number> {
  const report = join(folder, "report.yaml");
  const { code, out, err } = await node.ended([toolPath(SUITE.name), ...flags(report, node)]);
  const log = join(ROOT, "build", "gateway-conformance.log");
  mkdirSync(join(ROOT, "build"), { recursive: true });
  writeFileSync(log, `${out}${err}`);
  const results = parseResults(out);
  if (results.length === 0) throw new Error(`Cannot run the suite: ${err}${out}`);
  for (const line of table(results)) console.log(line);
  console.log(`${elapsed()}  the suite ended with ${code}; what it said: ${log}`);
  if (values["run-test"] === undefined && values.timeouts === undefined) {
    const path = join(ROOT, "docs", "conformance", `gateway-api-${version}.yaml`);
    mkdirSync(join(ROOT, "docs", "conformance"), { recursive: true });
    copyFileSync(report, path);
    console.log(`report: ${path}`);
  }
  return code;
}

function flags(report: string, node: MeshNode): string[] {
  const features = values.features === "core" ? CORE : [...CORE, ...EXTENDED];
  const wanted = {
    "test.run": "TestConformance$",
    "test.v": "true",
    "test.timeout": "30m",
    "conformance-profiles": "MESH-HTTP,MESH-GRPC",
    "supported-features": features.join(","),
    "namespace-annotations": "linkerd.io/inject=enabled",
    organization: "heddle",
    project: "heddle",
    url: "https://heddle.dev",
    version: node.version,
    contact: "https://heddle.dev",
    "report-output": report,
    "run-test": values["run-test"],
    "timeout-config-overrides": values.timeouts,
  };
  return Object.entries(wanted).flatMap(([flag, value]) =>
    value === undefined ? [] : [`-${flag}=${value}`],
  );
}

process.exitCode = await run();
