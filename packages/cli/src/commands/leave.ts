import { parseArgs } from "node:util";
import type { Command } from "../command.ts";
import { stateFolderPath } from "../state-folder.ts";

export const leave: Command = {
  name: "leave",
  summary: "Take this machine out of its mesh and undo what join did",
  usage: "leave [--state-dir DIR]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: { "state-dir": { type: "string" } },
    });
    const { StateFolder } = await import("@heddle/agent/state");
    const { leaveMesh } = await import("@heddle/agent/leave");
    const state = new StateFolder(stateFolderPath(values["state-dir"], context));
    const { namespace, name } = state.read();
    const { deregistered } = await leaveMesh(state);
    context.out(`${namespace}/${name} has left the mesh; agent, proxy, rules and keys are gone.`);
    if (deregistered === true) return 0;
    context.err(`The control plane could not be told: ${deregistered}`);
    context.err(`It will see the silence; to remove the record now, run where kubectl works:`);
    context.err(`  kubectl -n ${namespace} delete externalworkload ${name}`);
    return 0;
  },
};
