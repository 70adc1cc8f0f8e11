import { request } from "node:http";
import { MeshError } from "@heddle/base/errors";
import type { AgentStatus } from "./main.ts";
import type { StateFolder } from "./state.ts";

/**
 * Asks the agent that runs on this state.
 *
 * @throws MeshError `agent_away` if none does.
 */
export function agentStatus(state: StateFolder): Promise<AgentStatus> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const message = `Cannot ask the agent: nothing answers at ${state.adminSocket}`;
      reject(new MeshError("agent_away", "self", message, { cause }));
    };
    const call = request(
      { socketPath: state.adminSocket, path: "/", timeout: 5_000 },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", fail);
        response.on("end", () => resolve(JSON.parse(text) as AgentStatus));
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", fail);
    call.end();
  });
}
