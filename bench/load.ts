/** The load: wrk as fast as it goes, and h2load with gRPC's shape. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pinned } from "./peers.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
}

const VARY = join(import.meta.dirname, "peers", "vary.lua");

/** Closed loop over varied requests. @returns how many were answered with 200. */
export async function closedLoop(
  core: number,
  { host, port }: Target,
  load: { readonly connections: number; readonly seconds: number; readonly path: string },
  authority: string,
): Promise<number> {
  const { connections, seconds, path } = load;
  const text = await output(
    pinned(core, [
      "wrk",
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      `-s${VARY}`,
      `http://${host}:${port}/`,
    ]),
    { BENCH_PATH: path, BENCH_HOST: authority },
  );
  const requests = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  if (requests === 0 || /Non-2xx|Socket errors/.test(text)) {
    throw new Error(`Cannot count: not every request was answered\n${text}`);
  }
  return requests;
}

/** Calls of gRPC's shape, 8 connections with 4 streams each. @returns how many were answered. */
export async function grpcLoop(
  core: number,
  { host, port }: Target,
  load: { readonly seconds: number; readonly folder: string },
  authority: string,
): Promise<number> {
  const body = join(load.folder, "grpc-message");
  writeFileSync(body, Buffer.from([0, 0, 0, 0, 5, 10, 3, 98, 99, 100]));
  const text = await output(
    pinned(core, [
      "h2load",
      "-c8",
      "-m4",
      `-D${load.seconds}`,
      `-d${body}`,
      "-Hcontent-type: application/grpc",
      "-Hte: trailers",
      `-H:authority: ${authority}`,
      `http://${host}:${port}/bench.Echo/Say`,
    ]),
  );
  return allSucceeded(text);
}

function allSucceeded(text: string): number {
  const [, good, bad, errors] =
    /(\d+) succeeded, (\d+) failed, (\d+) errored/.exec(text)?.map(Number) ?? [];
  const other = /status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(text);
  const refused = other?.slice(1).some((count) => count !== "0") ?? true;
  if (good === undefined || good === 0 || bad !== 0 || errors !== 0 || refused) {
    throw new Error(`Cannot count: not every request was answered\n${text}`);
  }
  return good;
}

async function output(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program!, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  for await (const chunk of child.stdout) text += String(chunk);
  return text;
}
