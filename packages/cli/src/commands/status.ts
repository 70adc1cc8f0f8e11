import { parseArgs } from "node:util";
import { type Command, UsageError } from "../command.ts";
import { stateFolderPath } from "../state-folder.ts";

export const status: Command = {
  name: "status",
  summary: "Show this machine's membership: identity, health, capture",
  usage: "status [--state-dir DIR] [-o text|json]",

  /** @returns 0 if the machine is ready, 1 if it is not. */
  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "state-dir": { type: "string" },
        output: { type: "string", short: "o", default: "text" },
      },
    });
    if (!["text", "json"].includes(values.output)) {
      throw new UsageError(`-o takes text or json, not "${values.output}"`);
    }
    const { StateFolder } = await import("@heddle/agent/state");
    const { agentStatus } = await import("@heddle/agent/status-client");
    const state = new StateFolder(stateFolderPath(values["state-dir"], context));
    state.read();
    const answer = await agentStatus(state);
    if (values.output === "json") {
      context.out(JSON.stringify(answer, null, 2));
      return answer.isReady ? 0 : 1;
    }
    const { membership } = answer;
    const rows: readonly (readonly [string, string])[] = [
      ["machine", `${membership.namespace}/${membership.name}`],
      ["identity", membership.spiffeId],
      ["expires", answer.svidExpires],
      ["address", membership.ip],
      ["traffic", membership.mode],
      ["ports", membership.ports.map(({ port, name }) => `${port} (${name})`).join(", ") || "none"],
      ["agent", `pid ${answer.pid}`],
      ["proxy", `pid ${answer.proxyPid ?? "none"}, ${answer.proxyRestarts} restarts`],
      ["reported", answer.lastReport ?? "not yet"],
      ["state", answer.isReady ? "ready" : `not ready: ${answer.problems.join("; ")}`],
    ];
    for (const [name, value] of rows) context.out(`${name.padEnd(9)} ${value}`);
    return answer.isReady ? 0 : 1;
  },
};
