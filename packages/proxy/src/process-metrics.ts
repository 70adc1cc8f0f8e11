import { readdirSync, readFileSync } from "node:fs";
import type { Clock } from "@heddle/base/clock";
import type { Registry } from "@heddle/base/metrics";

/** Pages and clock ticks of Linux on the processors that we run on. */
const PAGE_BYTES = 4_096;
const TICKS_PER_SECOND = 100;

/** The process families of `proxy-metrics` section 12, brought up to date at each exposition. */
export function addProcessMetrics(registry: Registry, clock: Clock): void {
  const startedMs = clock.wallMs() - process.uptime() * 1_000;
  const gauge = (name: string, help: string): { set(value: number): void } =>
    registry.gauge(name, help).with();
  const start = gauge(
    "process_start_time_seconds",
    "Time that the process started (in seconds since the UNIX epoch).",
  );
  start.set(Math.floor(startedMs / 1_000));
  const wall = gauge("process_clock_time_seconds", "Current system time for this proxy.");
  const uptime = registry
    .counter("process_uptime_seconds_total", "Total time since the process started.")
    .with();
  const cpu = registry
    .counter("process_cpu_seconds_total", "Total user and system CPU time spent.")
    .with();
  const virtual = gauge("process_virtual_memory_bytes", "Virtual memory size.");
  const resident = gauge("process_resident_memory_bytes", "Resident memory size.");
  const open = gauge("process_open_fds", "Number of open file descriptors.");
  const max = gauge("process_max_fds", "Maximum number of open file descriptors.");
  const threads = gauge("process_threads", "Number of OS threads in the process.");
  const received = registry
    .counter("process_network_receive_bytes_total", "Network bytes received.")
    .with();
  const sent = registry
    .counter("process_network_transmit_bytes_total", "Network bytes transmitted.")
    .with();

  registry.collect(() => {
    wall.set(Math.floor(clock.wallMs() / 1_000));
    uptime.value = Math.floor(process.uptime());
    const stat = statFields();
    cpu.value = (stat.userTicks + stat.systemTicks) / TICKS_PER_SECOND;
    threads.set(stat.threads);
    virtual.set(stat.virtualBytes);
    resident.set(stat.residentPages * PAGE_BYTES);
    open.set(readdirSync("/proc/self/fd").length);
    max.set(maxDescriptors());
    const network = networkBytes();
    received.value = network.received;
    sent.value = network.sent;
  });
}

interface Stat {
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly threads: number;
  readonly virtualBytes: number;
  readonly residentPages: number;
}

/** proc_pid_stat(5). The name, in parentheses, may hold blanks: fields are counted after it. */
function statFields(): Stat {
  const text = readFileSync("/proc/self/stat", "latin1");
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  return {
    userTicks: fields[11] ?? 0,
    systemTicks: fields[12] ?? 0,
    threads: fields[17] ?? 0,
    virtualBytes: fields[20] ?? 0,
    residentPages: fields[21] ?? 0,
  };
}

function maxDescriptors(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  return Number(line?.[1] ?? 0);
}

/** Of all interfaces of this network namespace. */
function networkBytes(): { readonly received: number; readonly sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of readFileSync("/proc/net/dev", "latin1").split("\n").slice(2)) {
    const fields = line
      .slice(line.indexOf(":") + 1)
      .trim()
      .split(/\s+/)
      .map(Number);
    received += fields[0] || 0;
    sent += fields[8] || 0;
  }
  return { received, sent };
}
