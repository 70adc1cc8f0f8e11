/**
 * Tools of the suites that come as Go modules, built once into `${HEDDLE_CACHE:-~/.cache/heddle}/bin`
 * from the versions that `tools/go.mod` and `e2e/kube/go.mod` pin. `node scripts/tools.ts` builds
 * what is missing.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** A program that comes as a package of a Go module. */
export interface Tool {
  readonly name: string;
  /** Where the versions are pinned. */
  readonly folder: string;
  readonly module: string;
  /** Go variables that tell the tool its own version. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whether the program is the package's tests. */
  readonly isTest?: true;
}

const TOOLS_FOLDER = join(import.meta.dirname, "tools");
const KUBE_FOLDER = join(import.meta.dirname, "..", "e2e", "kube");

const KUBERNETES = "v1.37.2";

/** Without them Kubernetes' programs call themselves v0.0.0. */
const KUBERNETES_VARIABLES: Readonly<Record<string, string>> = {
  "k8s.io/component-base/version.gitVersion": KUBERNETES,
  "k8s.io/component-base/version.gitMajor": "1",
  "k8s.io/component-base/version.gitMinor": "37",
  "k8s.io/component-base/version.gitTreeState": "clean",
  "k8s.io/client-go/pkg/version.gitVersion": KUBERNETES,
};

const TOOLS: readonly Tool[] = [
  {
    name: "kubectl",
    folder: TOOLS_FOLDER,
    module: "k8s.io/kubernetes/cmd/kubectl",
    variables: KUBERNETES_VARIABLES,
  },
  {
    name: "grpcurl",
    folder: TOOLS_FOLDER,
    module: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
    variables: { "main.version": "v1.9.3" },
  },
  {
    // In a folder of its own: its version says nothing about the other tools.
    name: "helm",
    folder: join(TOOLS_FOLDER, "helm"),
    module: "helm.sh/helm/v4/cmd/helm",
    variables: { "helm.sh/helm/v4/internal/version.version": "v4.3.1" },
  },
  { name: "etcd", folder: KUBE_FOLDER, module: "go.etcd.io/etcd/server/v3", variables: {} },
  ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"].map(
    (name) => ({
      name,
      folder: KUBE_FOLDER,
      module: `k8s.io/kubernetes/cmd/${name}`,
      variables: KUBERNETES_VARIABLES,
    }),
  ),
  ...["coredns", "pause"].map((name) => ({
    name,
    folder: KUBE_FOLDER,
    module: `./${name}`,
    variables: {},
  })),
];

const MIN_GO: readonly [number, number] = [1, 26];

export function cacheDir(): string {
  return process.env["HEDDLE_CACHE"] ?? join(homedir(), ".cache", "heddle");
}

/** Where a tool is, or would be. */
export function toolPath(name: string): string {
  return join(cacheDir(), "bin", name);
}

/** Builds what is missing, where Go can; says what is skipped otherwise. */
export async function provideTools(tools: readonly Tool[] = TOOLS): Promise<void> {
  const absent = tools.filter((tool) => !isBuilt(tool));
  if (absent.length === 0) return;
  const problem = goProblem();
  if (problem !== undefined) {
    const names = absent.map(({ name }) => name).join(", ");
    console.log(`missing: ${names} (${problem}); their suites are skipped.`);
    console.log("To run them: install Go 1.26 or later, then: node scripts/tools.ts");
    return;
  }
  mkdirSync(join(cacheDir(), "bin"), { recursive: true });
  for (const tool of absent) build(tool);
}

/** Changes with the pinned versions, and with a source of ours, so that an upgrade is built. */
function stampOf({ folder, module }: Tool): string {
  const hash = createHash("sha256");
  const own = module.startsWith("./") ? [join(module, "main.go")] : [];
  for (const file of ["go.mod", "go.sum", ...own]) hash.update(readFileSync(join(folder, file)));
  return hash.digest("hex").slice(0, 16);
}

/** Whether it is there, in the version that is pinned. */
export function isBuilt(tool: Tool): boolean {
  const path = toolPath(tool.name);
  if (!existsSync(path) || !existsSync(`${path}.stamp`)) return false;
  return readFileSync(`${path}.stamp`, "utf8").trim() === stampOf(tool);
}

/** Why Go cannot build, if so. */
function goProblem(): string | undefined {
  const { status, stdout } = spawnSync("go", ["env", "GOVERSION"], {
    encoding: "utf8",
    env: { ...process.env, GOTOOLCHAIN: "local" },
  });
  if (status !== 0) return "Go is not installed";
  const [major = 0, minor = 0] = stdout.trim().replace(/^go/, "").split(".").map(Number);
  const isEnough = major > MIN_GO[0] || (major === MIN_GO[0] && minor >= MIN_GO[1]);
  return isEnough ? undefined : `Go ${stdout.trim()} is older than ${MIN_GO.join(".")}`;
}

/** Under a name of its own until it is whole, so that two runs do not disturb each other. */
function build(tool: Tool): void {
  const { name, folder, module, variables } = tool;
  const path = toolPath(name);
  const next = `${path}.${process.pid}`;
  const flags = [
    "-s",
    "-w",
    ...Object.entries(variables).map(([key, value]) => `-X ${key}=${value}`),
  ];
  const verb = tool.isTest ? ["test", "-c"] : ["build"];
  console.log(`building ${name} (once)`);
  const started = performance.now();
  const { status } = spawnSync(
    "nice",
    ["-n", "10", "go", ...verb, "-trimpath", `-ldflags=${flags.join(" ")}`, "-o", next, module],
    {
      cwd: folder,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" },
    },
  );
  if (status !== 0) {
    console.log(`missing: ${name} (it could not be built); its suites are skipped.`);
    return;
  }
  renameSync(next, path);
  writeFileSync(`${path}.stamp`, `${stampOf(tool)}\n`);
  console.log(`built ${name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
}

if (import.meta.main) await provideTools();
