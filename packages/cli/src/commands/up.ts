import { once } from "node:events";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Command } from "../command.ts";
import { startMesh } from "../mesh.ts";
import { processLog } from "../process-log.ts";

export const up: Command = {
  name: "up",
  summary: "Run a mesh on this machine: API server and control plane",
  usage: "up [--data-dir DIR] [--ip IP]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "data-dir": { type: "string" },
        ip: { type: "string", default: "127.77.0.2" },
      },
    });
    const home = context.env("HOME") ?? homedir();
    const dataDir = values["data-dir"] ?? join(home, ".local", "share", "heddle");
    const log = processLog(context, context.env("HEDDLE_LOG") ?? "warn", undefined);
    const isLoopback = values.ip.startsWith("127.");
    await using mesh = await startMesh({
      dataDir,
      apiserverIp: values.ip,
      controlIp: values.ip,
      loopbackMesh: context.env("HEDDLE_LOOPBACK_MESH") ?? (isLoopback ? "127.77.0.0/16" : ""),
      clock: context.clock,
      log,
      onLine: (process, line) => context.err(`${process}: ${line}`),
      stop: context.stop,
    });
    context.out(`The mesh is up; its state is in ${dataDir}. Try:`);
    context.out(`  kubectl --kubeconfig ${mesh.kubeconfigPath} get namespaces`);
    context.out(`  heddle invite --kubeconfig ${mesh.kubeconfigPath} --name my-machine`);
    if (!context.stop.aborted) await once(context.stop, "abort");
    return 0;
  },
};
