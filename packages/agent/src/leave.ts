import { setTimeout as sleep } from "node:timers/promises";
import { MeshError, messageOf } from "@heddle/base/errors";
import { findFirewall, removeCapture } from "./capture.ts";
import { ExpansionClient } from "./expansion-client.ts";
import { loadHeldSvid } from "./join.ts";
import type { StateFolder } from "./state.ts";
import { agentStatus } from "./status-client.ts";

const CALL_TIMEOUT_MS = 5_000;
const AGENT_STOP_MS = 20_000;

export interface LeaveResult {
  /** The control plane knows; else why not. */
  readonly deregistered: string | true;
}

/**
 * Takes the machine out of the mesh: the agent and its proxy end, rules and files go. What the
 * control plane says is told, and holds nothing up: it will see the silence.
 *
 * @throws MeshError `not_joined`; `agent_stuck` or `capture_failed`: then the rules are still there.
 */
export async function leaveMesh(state: StateFolder): Promise<LeaveResult> {
  const membership = state.read();
  await stopAgent(state);
  const localAddress = membership.mesh.loopbackMesh === "" ? undefined : membership.ip;
  const settings = { localAddress, timeoutMs: CALL_TIMEOUT_MS };
  let deregistered: string | true = true;
  try {
    // Damaged files must not keep the rules in place either.
    const svid = loadHeldSvid(state, membership);
    const client = new ExpansionClient(membership.expansion, () => svid, settings);
    await client.leave();
  } catch (error) {
    deregistered = messageOf(error);
  }
  if (membership.mode === "captured") removeCapture(findFirewall());
  state.remove();
  return { deregistered };
}

/** Ends the agent, if one runs, and waits until it is gone. */
async function stopAgent(state: StateFolder): Promise<void> {
  let pid: number;
  try {
    pid = (await agentStatus(state)).pid;
  } catch {
    // Nobody answers: there is no agent to end.
    return;
  }
  process.kill(pid, "SIGTERM");
  if (await isGone(pid, AGENT_STOP_MS)) return;
  process.kill(pid, "SIGKILL");
  if (await isGone(pid, AGENT_STOP_MS)) return;
  throw new MeshError("agent_stuck", "self", `Cannot end the agent: process ${pid} does not die`);
}

/** Whether the process ended within the time. */
async function isGone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: the process is gone.
    return false;
  }
}
