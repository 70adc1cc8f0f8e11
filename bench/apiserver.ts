/**
 * `npm run bench -- apiserver`: the embedded API server with TLS and authentication on, objects of
 * 1 KiB, 64 connections: durable creates a second, gets a second, the delay of watch events with
 * 1,000 watches open, and memory. The load comes from a process of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ServerProcess } from "@heddle/apiserver/testing/server-process";
import { writeFigures } from "../scripts/figures.ts";
import type { LoadFigures, LoadOptions } from "./apiserver-load.ts";

export interface ApiserverFigures extends LoadFigures {
  /** Of the server, with all objects in memory and all watches open. */
  readonly rss_mib: number;
}

/** What the figures must reach. */
const FLOORS = { creates_per_s: 2_000, gets_per_s: 8_000 } as const;
const MAX_WATCH_P99_MS = 100;

export async function benchApiserver(isQuick: boolean): Promise<ApiserverFigures> {
  const dataDir = mkdtempSync(join(tmpdir(), "heddle-bench-"));
  try {
    const server = await ServerProcess.start(dataDir);
    try {
      const { url, caPem, token } = server;
      const figures = await runLoad({ url, caPem, token, isQuick });
      return { ...figures, rss_mib: rssMib(server.pid) };
    } finally {
      await server.end("SIGKILL");
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The load closes its watches only after it has printed, so that memory is read with them open. */
async function runLoad(options: LoadOptions): Promise<LoadFigures> {
  const script = join(import.meta.dirname, "apiserver-load.ts");
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.endsWith("\n")) break;
  }
  const gone = child.exitCode === null ? once(child, "exit") : undefined;
  child.stdin.end();
  await gone;
  if (!text.endsWith("\n")) throw new Error("the load ended without figures");
  return JSON.parse(text) as LoadFigures;
}

function rssMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
  });
  const figures = await benchApiserver(values.quick);
  for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(14)} ${value}`);
  if (values.json !== undefined) writeFigures(values.json, "apiserver", { ...figures });
  const misses = Object.entries(FLOORS).filter(
    ([name, floor]) => figures[name as keyof typeof FLOORS] < floor,
  );
  for (const [name, floor] of misses) console.log(`missed: ${name} is below ${floor}`);
  if (figures.watch_p99_ms >= MAX_WATCH_P99_MS) {
    console.log(`missed: watch_p99_ms is not below ${MAX_WATCH_P99_MS}`);
  }
}
