import { type Category, type Check, failed, PASSED, SKIPPED } from "../check.ts";
import { versionProblem } from "../versions.ts";

export const VERSION: Category = {
  name: "linkerd-version",
  checks: [
    {
      description: "can determine the latest version",
      anchor: "l5d-version-latest",
      isWarning: true,
      async run(mesh, signal) {
        return (await mesh.latest(signal)) === undefined ? SKIPPED : PASSED;
      },
    },
    {
      description: "cli is up-to-date",
      anchor: "l5d-version-cli",
      isWarning: true,
      async run(mesh, signal) {
        const latest = await mesh.latest(signal);
        if (latest === undefined) return SKIPPED;
        const problem = versionProblem(mesh.options.cliVersion, latest);
        return problem === undefined ? PASSED : failed(problem);
      },
    },
  ],
};

const isKnown: Check = {
  description: "can retrieve the control plane version",
  anchor: "l5d-version-control",
  isFatal: true,
  isRetried: true,
  async run(mesh, signal) {
    const { linkerdVersion } = await mesh.config(signal);
    return linkerdVersion === "" ? failed("linkerd-config has no linkerdVersion") : PASSED;
  },
};

export const CONTROL_PLANE_VERSION: Category = {
  name: "control-plane-version",
  checks: [
    isKnown,
    {
      description: "control plane is up-to-date",
      anchor: "l5d-version-control",
      isWarning: true,
      async run(mesh, signal) {
        const latest = await mesh.latest(signal);
        if (latest === undefined) return SKIPPED;
        const problem = versionProblem((await mesh.config(signal)).linkerdVersion, latest);
        return problem === undefined ? PASSED : failed(problem);
      },
    },
    {
      description: "control plane and cli versions match",
      anchor: "l5d-version-control",
      isWarning: true,
      async run(mesh, signal) {
        const { linkerdVersion } = await mesh.config(signal);
        const { cliVersion } = mesh.options;
        if (linkerdVersion === cliVersion) return PASSED;
        return failed(`control plane running ${linkerdVersion} but cli running ${cliVersion}`);
      },
    },
  ],
};
