import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { MeshError, messageOf } from "@heddle/base/errors";
import { parseGoDuration } from "@heddle/model/go-duration";
import { type Command, UsageError } from "../command.ts";

const ASK_EVERY_MS = 100;
/** Each time over a connection of its own: one that was kept may be of a proxy that has ended. */
const ASK = { host: "127.0.0.1", path: "/ready", timeout: 1_000, agent: false } as const;

/** What the injector's hook runs where the proxy is no native sidecar: applications start after it. */
export const awaitProxy: Command = {
  name: "await",
  summary: "Wait until this pod's proxy is ready (a container's hook)",
  usage: "await [--port PORT] [--timeout DURATION]",

  async run(args, context) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: "string", default: "4191" },
        timeout: { type: "string", default: "2m" },
      },
    });
    const port = Number(values.port);
    if (!/^\d+$/.test(values.port) || port < 1 || port > 65_535) {
      throw new UsageError(`--port takes a TCP port, not "${values.port}"`);
    }
    const deadline = context.clock.nowMs() + durationOf(values.timeout);
    let state = "it was not asked";
    while (!context.stop.aborted) {
      const found = await problemOf(port);
      if (found === undefined) return 0;
      state = found;
      if (context.clock.nowMs() >= deadline) break;
      // Only the signal ends the sleep early, and the loop looks at it.
      await sleep(ASK_EVERY_MS, undefined, { signal: context.stop }).catch(() => undefined);
    }
    const message = `Cannot wait for the proxy any longer than ${values.timeout}: ${state}; its log says why`;
    throw new MeshError("not_ready", "server", message);
  },
};

function durationOf(text: string): number {
  try {
    return parseGoDuration(text);
  } catch {
    throw new UsageError(`--timeout takes a duration like 30s or 2m, not "${text}"`);
  }
}

/** What keeps the proxy from being ready; undefined if nothing does. */
function problemOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ ...ASK, port }, (response) => {
      response.resume();
      const { statusCode } = response;
      resolve(
        statusCode === 200 ? undefined : `its port ${port} answers /ready with ${statusCode}`,
      );
    });
    request.on("timeout", () => request.destroy(new Error("no answer within a second")));
    request.on("error", (error) => resolve(`its port ${port}: ${messageOf(error)}`));
  });
}
