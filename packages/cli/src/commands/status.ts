import { parseArgs } from "node:util";
import { type Command, UsageError } from "../command.ts";
import { stateFolderPath } from "../state-folder.ts";

type AgentStatus = import("@heddle/agent/main").AgentStatus;

/** ANSI's numbers. */
const RED = 31;
const GREEN = 32;
const YELLOW = 33;

export const status: Command = {
  name: "status",
  summary: "Show this machine's membership: identity, health, capture",
  usage: "status [--state-dir DIR] [-o text|json|yaml]",

  /** @returns 0 if the machine is ready, 1 if it is not. */
  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        "state-dir": { type: "string" },
        output: { type: "string", short: "o", default: "text" },
      },
    });
    if (!["text", "json", "yaml"].includes(values.output)) {
      throw new UsageError(`-o takes text, json or yaml, not "${values.output}"`);
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
    if (values.output === "yaml") {
      const { stringify } = await import("yaml");
      context.out(stringify(answer).trimEnd());
      return answer.isReady ? 0 : 1;
    }
    for (const [name, value] of table(answer, context.hasColor)) {
      context.out(`${name.padEnd(9)} ${value}`);
    }
    return answer.isReady ? 0 : 1;
  },
};

function table(answer: AgentStatus, hasColor: boolean): readonly (readonly [string, string])[] {
  const paint = (color: number, text: string): string =>
    hasColor ? `\x1b[${color}m${text}\x1b[0m` : text;
  const { membership, problems, renewalProblem } = answer;
  const late = renewalProblem === undefined ? "" : `; cannot renew: ${renewalProblem}`;
  return [
    ["machine", `${membership.namespace}/${membership.name}`],
    ["identity", membership.spiffeId],
    ["expires", `${answer.svidExpires}${paint(YELLOW, late)}`],
    ["address", membership.ip],
    ["traffic", membership.mode],
    ["ports", membership.ports.map(({ port, name }) => `${port} (${name})`).join(", ") || "none"],
    ["agent", `pid ${answer.pid}`],
    ["proxy", `pid ${answer.proxyPid ?? "none"}, ${answer.proxyRestarts} restarts`],
    ["reported", answer.lastReport ?? "not yet"],
    [
      "state",
      answer.isReady ? paint(GREEN, "ready") : paint(RED, `not ready: ${problems.join("; ")}`),
    ],
  ];
}
