import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/test-suites.ts";
import { toolPath } from "../../scripts/tools.ts";

/** For `test(…, { skip })`: why the real Helm cannot run here, or false. */
export const noHelm: string | false = !existsSync(toolPath("helm")) && "not built: helm";

export function chartFolder(name: string): string {
  return join(ROOT, "charts", name);
}

export interface HelmRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function helmEnvironment(home: string, kubeconfig: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env["PATH"],
    HOME: home,
    HELM_CACHE_HOME: join(home, "cache"),
    HELM_CONFIG_HOME: join(home, "config"),
    HELM_DATA_HOME: join(home, "data"),
    KUBECONFIG: kubeconfig,
  };
}

/** Runs the real Helm, with everything that it keeps in `home`. */
export function helm(home: string, args: readonly string[], kubeconfig = ""): HelmRun {
  const env = helmEnvironment(home, kubeconfig);
  const { status, stdout, stderr } = spawnSync(toolPath("helm"), args, { encoding: "utf8", env });
  return { code: status, out: stdout, err: stderr };
}
