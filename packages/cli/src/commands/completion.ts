import { parseArgs } from "node:util";
import { CLUSTER_OPTIONS } from "../cluster.ts";
import { type Command, UsageError } from "../command.ts";
import { completionScript, SHELLS } from "../completion/scripts.ts";
import { goArgs } from "../go-flags.ts";

export const completion: Command = {
  name: "completion",
  summary: "Print what a shell loads to complete commands, flags and names",
  usage: `completion ${SHELLS.join("|")}`,

  async run(args, context) {
    const { positionals } = parseArgs({
      args: goArgs(args, CLUSTER_OPTIONS),
      allowPositionals: true,
      allowNegative: true,
      options: CLUSTER_OPTIONS,
    });
    const [given, ...more] = positionals;
    if (given === undefined || more.length > 0) {
      throw new UsageError(`name one shell: ${SHELLS.join(", ")}`);
    }
    const shell = SHELLS.find((name) => name === given);
    if (shell === undefined) {
      throw new UsageError(
        `there is no completion for "${given}"; the shells are ${SHELLS.join(", ")}`,
      );
    }
    context.out(completionScript(shell, context.program ?? "heddle").trimEnd());
    return 0;
  },

  async complete(words) {
    return words.length === 1 ? SHELLS : [];
  },
};
