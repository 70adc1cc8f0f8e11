/** What processes cost, from `/proc`. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Kernel ticks of `/proc/PID/stat` are hundredths of a second on every Linux architecture. */
const TICK_US = 10_000;

/** User and system time of all of them so far, in microseconds. */
export function cpuUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name may hold blanks and parentheses: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_US;
}

/** Mean resident memory of one of them. */
export function rssMib(pids: readonly number[]): number {
  const kib = pids.map((pid) =>
    Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]),
  );
  return kib.reduce((sum, one) => sum + one, 0) / kib.length / 1024;
}

/** Moves a running process, with all its threads, to one core. */
export function pin(core: number, pid: number): void {
  const { status, stderr } = spawnSync("taskset", ["-acp", String(core), String(pid)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Cannot pin process ${pid}: ${stderr}`);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) throw new Error("Cannot take a median: no values");
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function rounded(value: number, digits = 2): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
