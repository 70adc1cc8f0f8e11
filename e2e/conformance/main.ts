/**
 * `npm run conformance:gateway`: the Gateway API's own mesh suite, against our control plane and
 * proxies on a node with real pods. Needs root and Go. Writes the suite's report to
 * `docs/conformance/`, what the suite says to `build/`, and ends with 0 only if every test passes.
 *
 * `--core` leaves out extended features, `--run-test NAME` runs only that test, and
 * `--timeouts 'MaxTimeToConsistency:5s'` shortens the waiting: all without a report.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
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

/** For what is made on the way. */
const FOLDER = join(ROOT, "build", "gateway-conformance");

const { values } = parseArgs({
  options: {
    core: { type: "boolean" },
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
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  console.log("Starting a Kubernetes with one node, and making images…");
  await using node = await MeshNode.start();
  await node.importImages([await writeEchoImage(FOLDER)]);
  const { version, crds } = await gatewayApi();
  await node.kubectl(["apply", "--server-side", "-k", crds]);
  await node.installCrds();
  await node.installControlPlane();
  console.log(`${elapsed()}  the mesh is up; running the suite of Gateway API ${version}…`);
  return await runSuite(node, version);
}

async function runSuite(node: MeshNode, version: string): Promise<number> {
  const report = join(FOLDER, "report.yaml");
  const { code, out, err } = await node.ended([toolPath(SUITE.name), ...flags(report, node)]);
  const log = join(FOLDER, "suite.log");
  writeFileSync(log, `${out}${err}`);
  const results = parseResults(out);
  if (results.length === 0) throw new Error(`Cannot run the suite: ${err}${out}`);
  for (const line of table(results)) console.log(line);
  console.log(`${elapsed()}  the suite ended with ${code}; what it said: ${log}`);
  if (Object.keys(values).length === 0) {
    const path = join(ROOT, "docs", "conformance", `gateway-api-${version}.yaml`);
    copyFileSync(report, path);
    console.log(`report: ${path}`);
  }
  return code;
}

function flags(report: string, node: MeshNode): string[] {
  const features = values.core === true ? CORE : [...CORE, ...EXTENDED];
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
