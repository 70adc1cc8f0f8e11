import { type CliContext, type Command, UsageError } from "../command.ts";
import { type GoFlags, parseGoFlags } from "../pflags.ts";
import { goLog, processLog } from "../process-log.ts";

const INSTALL_FLAGS = {
  "log-level": { type: "string", default: "info" },
  "log-format": { type: "string", default: "plain" },
} as const satisfies GoFlags;

/** Those of `linkerd-cni-repair-controller`. */
const REPAIR_FLAGS = {
  "log-level": { type: "string", default: "" },
  "log-format": { type: "string", default: "" },
  "node-name": { type: "string", default: "" },
  "controller-pod-name": { type: "string", default: "" },
  "admin-addr": { type: "string", default: "0.0.0.0:8080" },
  kubeconfig: { type: "string", default: "" },
  context: { type: "string", default: "" },
} as const satisfies GoFlags;

const REPAIR_LOG = "linkerd_cni_repair_controller=info,warn";

export const cni: Command = {
  name: "cni",
  summary: "Be the CNI plugin, its installer, or the controller that repairs pods",
  usage:
    "cni (called by a container runtime) | cni install [--log-level LEVEL] [--log-format plain|json] | cni repair --node-name NODE --controller-pod-name POD [--admin-addr IP:PORT] [--kubeconfig FILE] [--context NAME] [--log-level FILTER] [--log-format plain|json]",

  async run(args, context) {
    const [role, ...rest] = args;
    if (role === undefined) return await plugin(context);
    if (role === "install") return await install(rest, context);
    if (role === "repair") return await repair(rest, context);
    throw new UsageError(`cni has no "${role}": install, repair, or nothing for the plugin`);
  },
};

async function plugin(context: CliContext): Promise<number> {
  const { runPlugin } = await import("@heddle/init/cni/plugin");
  return await runPlugin({
    env: context.env,
    stdin: process.stdin,
    answer: context.out,
    log: processLog(context, "warn", "plain", "linkerd-cni"),
    signal: context.stop,
  });
}

async function install(args: readonly string[], context: CliContext): Promise<number> {
  const flags = parseGoFlags(args, INSTALL_FLAGS);
  const log = goLog(context, flags["log-level"], flags["log-format"], "linkerd-cni");
  const { Env } = await import("@heddle/base/env");
  const { loadInstallSettings } = await import("@heddle/init/cni/install-settings");
  const { runInstaller } = await import("@heddle/init/cni/installer");
  const env = new Env(context.env);
  const settings = loadInstallSettings(env);
  env.check();
  await runInstaller(settings, { log, signal: context.stop });
  return 0;
}

async function repair(args: readonly string[], context: CliContext): Promise<number> {
  const flags = parseGoFlags(args, REPAIR_FLAGS);
  const variable = (name: string): string =>
    context.env(`LINKERD_CNI_REPAIR_CONTROLLER_${name}`) ?? "";
  const nodeName = flags["node-name"] || variable("NODE_NAME");
  const podName = flags["controller-pod-name"] || variable("POD_NAME");
  if (nodeName === "" || podName === "") {
    throw new UsageError(
      "--node-name and --controller-pod-name are needed, or LINKERD_CNI_REPAIR_CONTROLLER_NODE_NAME and …_POD_NAME",
    );
  }
  const { parseAddress } = await import("@heddle/net/address");
  const { runRepairController } = await import("@heddle/control/cni-repair/main");
  const { clusterClient } = await import("../cluster.ts");
  const filter = flags["log-level"] || variable("LOG_LEVEL") || REPAIR_LOG;
  const format = flags["log-format"] || variable("LOG_FORMAT");
  using client = clusterClient(
    {
      ...(flags.kubeconfig === "" ? {} : { kubeconfig: flags.kubeconfig }),
      ...(flags.context === "" ? {} : { context: flags.context }),
    },
    context,
  );
  await runRepairController({
    client,
    nodeName,
    podName,
    adminAt: checked("admin-addr", () => parseAddress(flags["admin-addr"])),
    log: checked("log-level", () =>
      processLog(context, filter, format, "linkerd_cni_repair_controller"),
    ),
    signal: context.stop,
    clock: context.clock,
  });
  return 0;
}

function checked<T>(flag: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyntaxError) throw new UsageError(`--${flag}: ${error.message}`);
    throw error;
  }
}
