import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { DeclaredListener } from "@heddle/inject/proxy-env";
import { type JoinToken, parseJoinToken } from "@heddle/model/join-token";
import { type CliContext, type Command, UsageError } from "../command.ts";
import { selfCommand } from "../self.ts";
import { stateFolderPath } from "../state-folder.ts";

/** How long the machine may take to be seen ready from both sides. */
const READY_MS = 30_000;

export const join: Command = {
  name: "join",
  summary: "Join this machine to a mesh with a token",
  usage:
    "join TOKEN|- [--rootless] [--ip IP] [--app-ip IP] [--listen ADDR:PORT=NAME:PORT]… [--allow-bypass] [--state-dir DIR]",

  async run(args, context) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rootless: { type: "boolean", default: false },
        ip: { type: "string" },
        "app-ip": { type: "string" },
        listen: { type: "string", multiple: true, default: [] },
        "allow-bypass": { type: "boolean", default: false },
        "state-dir": { type: "string" },
      },
    });
    const token = readToken(positionals);
    const path = stateFolderPath(values["state-dir"], context);
    const { StateFolder } = await import("@heddle/agent/state");
    const { joinMesh } = await import("@heddle/agent/join");
    const { findFirewall } = await import("@heddle/agent/capture");
    // Asked before the token is used up: without a firewall nothing could be captured.
    if (!values.rootless) findFirewall();
    const ip = requireIp(values.ip ?? (await ownAddress(token)), "--ip");
    const appIp = values["app-ip"] ?? (values.rootless ? "127.0.0.1" : undefined);
    const state = new StateFolder(path);
    const membership = await joinMesh({
      token,
      state,
      ip,
      ...(appIp === undefined ? {} : { appIp: requireIp(appIp, "--app-ip") }),
      mode: values.rootless ? "rootless" : "captured",
      listeners: values.listen.map(parseListener),
      allowBypass: values["allow-bypass"],
      loopbackMesh: context.env("HEDDLE_LOOPBACK_MESH") ?? "",
      clock: context.clock,
      signal: context.stop,
    });
    context.out(`admitted as ${membership.spiffeId}`);
    startAgent(path, state.log);
    const problem = await awaitReady(path, context);
    if (problem !== undefined) {
      context.err(`The machine has joined and is not ready yet: ${problem}`);
      context.err(`Watch it with "heddle status"; its log is ${state.log}`);
      return 1;
    }
    context.out(`ready: the mesh reaches this machine at ${ip}, and this machine the mesh`);
    return 0;
  },
};

function readToken(positionals: readonly string[]): JoinToken {
  const [text] = positionals;
  if (text === undefined || positionals.length > 1) throw new UsageError("one TOKEN is needed");
  try {
    return parseJoinToken(text === "-" ? readFileSync(0, "utf8") : text);
  } catch (error) {
    throw new MeshError("bad_token", "client", `Cannot use the token: ${messageOf(error)}`);
  }
}

/** The address that this machine would call the control plane from. */
async function ownAddress(token: JoinToken): Promise<string> {
  const { createSocket } = await import("node:dgram");
  const [address] = token.addresses;
  const at = address!.lastIndexOf(":");
  const host = address!.slice(0, at).replace(/^\[|\]$/g, "");
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    // Sends nothing: it makes the kernel choose a route and a source address.
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(Number(address!.slice(at + 1)), host, resolve);
    });
    return socket.address().address;
  } finally {
    socket.close();
  }
}

function requireIp(text: string, flag: string): string {
  if (isIP(text) !== 0) return text;
  throw new UsageError(`${flag} takes an IP address, not "${text}"`);
}

function parseListener(text: string): DeclaredListener {
  const match = /^(\S+:\d{1,5})=([a-z0-9.-]+:\d{1,5})$/.exec(text);
  if (match === null) throw new UsageError(`--listen takes ADDR:PORT=NAME:PORT, not "${text}"`);
  return { listen: match[1]!, authority: match[2]! };
}

/** Starts the agent as a process that outlives this command. */
function startAgent(stateFolder: string, logPath: string): void {
  const log = openSync(logPath, "a", 0o600);
  try {
    const { command, args } = selfCommand();
    const child = spawn(command, [...args, "agent", "--state-dir", stateFolder], {
      detached: true,
      stdio: ["ignore", log, log],
    });
    child.unref();
  } finally {
    closeSync(log);
  }
}

/** Waits until our side is up and the other side has seen it; else says what is missing. */
async function awaitReady(path: string, context: CliContext): Promise<string | undefined> {
  const { StateFolder } = await import("@heddle/agent/state");
  const { agentStatus } = await import("@heddle/agent/status-client");
  const state = new StateFolder(path);
  const deadline = context.clock.nowMs() + READY_MS;
  let problem = "the agent does not answer";
  while (context.clock.nowMs() < deadline && !context.stop.aborted) {
    try {
      const { isReady, lastReport, problems } = await agentStatus(state);
      if (isReady && lastReport !== undefined) return undefined;
      problem = problems.join("; ") || "the control plane has not been told yet";
    } catch (error) {
      problem = messageOf(error);
    }
    // Only the signal ends the sleep early, and the loop looks at it.
    await sleep(150, undefined, { signal: context.stop }).catch(() => undefined);
  }
  return problem;
}
