import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProbeOptions {
  readonly host: string;
  readonly ports: readonly number[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures in a row after which a port counts as dead. */
  readonly failures: number;
  /** After every round, changed or not. */
  readonly onRound: (round: ProbeRound) => void;
  readonly signal: AbortSignal;
}

export interface ProbeRound {
  /** Every port answers; a machine without ports is ready. */
  readonly isReady: boolean;
  /** Ports that count as dead, with the last cause. */
  readonly dead: readonly { readonly port: number; readonly cause: string }[];
}

/** Connects to each port again and again, until the signal. A port that never answered is dead. */
export async function runProbes(options: ProbeOptions): Promise<void> {
  const { host, ports, intervalMs, timeoutMs, failures, onRound, signal } = options;
  const failed = new Map<number, number>(ports.map((port) => [port, failures]));
  while (!signal.aborted) {
    const causes = await Promise.all(ports.map((port) => probe(host, port, timeoutMs)));
    if (signal.aborted) return;
    const dead: { port: number; cause: string }[] = [];
    ports.forEach((port, index) => {
      const cause = causes[index];
      const count = cause === undefined ? 0 : failed.get(port)! + 1;
      failed.set(port, count);
      if (cause !== undefined && count >= failures) dead.push({ port, cause });
    });
    onRound({ isReady: dead.length === 0, dead });
    // Only the signal ends the sleep early, and the loop looks at it.
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Undefined if the port takes connections, else why not. */
function probe(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (cause: string | undefined): void => {
      socket.destroy();
      resolve(cause);
    };
    socket.setTimeout(timeoutMs, () => done(`no answer within ${timeoutMs} ms`));
    socket.once("connect", () => done(undefined));
    socket.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}
