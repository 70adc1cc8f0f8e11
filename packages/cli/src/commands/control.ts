import { type Command, UsageError } from "../command.ts";
import { processLog } from "../process-log.ts";
import { clientVersion } from "./version.ts";

export const control: Command = {
  name: "control",
  summary: "Run the control plane: identity, destination, policy, injector",
  usage: "control",

  async run(args, context) {
    if (args.length > 0) {
      throw new UsageError(
        "control takes no arguments; its settings are HEDDLE_CONTROL_… variables",
      );
    }
    const { runControl } = await import("@heddle/control/main");
    const { mapLargeBlocks } = await import("@heddle/net/native-memory");
    // Every proxy of the mesh holds a connection.
    mapLargeBlocks();
    const log = processLog(context, context.env("HEDDLE_LOG"), context.env("HEDDLE_LOG_FORMAT"));
    const version = clientVersion();
    await runControl(context.env, log.child("control"), context.stop, { version });
    return 0;
  },
};
