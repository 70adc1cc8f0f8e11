import { parseArgs } from "node:util";
import type { Command } from "../command.ts";
import { processLog } from "../process-log.ts";
import { selfCommand } from "../self.ts";
import { stateFolderPath } from "../state-folder.ts";

export const agent: Command = {
  name: "agent",
  summary: "Hold a machine's membership (started by join)",
  usage: "agent [--state-dir DIR]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: { "state-dir": { type: "string" } },
    });
    const { runAgent } = await import("@heddle/agent/main");
    const { StateFolder } = await import("@heddle/agent/state");
    await runAgent(
      {
        state: new StateFolder(stateFolderPath(values["state-dir"], context)),
        self: selfCommand(),
        clock: context.clock,
        log: processLog(context, context.env("HEDDLE_LOG"), context.env("HEDDLE_LOG_FORMAT")),
        proxyLine: (line) => context.err(line),
      },
      context.stop,
    );
    return 0;
  },
};
