import type { Command } from "../command.ts";
import { processLog } from "../process-log.ts";

export const apiserver: Command = {
  name: "apiserver",
  summary: "Run the embedded Kubernetes-style API server",
  usage:
    "apiserver [--data-dir DIR] [--host ADDRESS] [--port PORT] [--name NAME]… [--service-cidr CIDR]",

  async run(args, context) {
    const { loadApiserver, runApiserver } = await import("@heddle/apiserver/main");
    const config = loadApiserver(args, context.env);
    const log = processLog(context, context.env("HEDDLE_LOG"), context.env("HEDDLE_LOG_FORMAT"));
    await runApiserver(config, log.child("apiserver"), context.stop);
    return 0;
  },
};
