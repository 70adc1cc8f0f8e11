/** Requests at their times, however long the ones before them take: what a closed loop hides. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Target } from "./load.ts";

const CONNECTIONS = 64;
/** What nginx's answer to `/small` ends with. */
const BODY_BYTES = 100;

/** @returns the 99th percentile from when a request was due to its answer, in milliseconds. */
export async function openLoopP99(
  { host, port }: Target,
  perSecond: number,
  seconds: number,
  authority: string,
): Promise<number> {
  const times: number[] = [];
  const waiting: number[] = [];
  const idle: Socket[] = [];
  const sockets: Socket[] = [];
  const failed = Promise.withResolvers<never>();
  // Whoever waits for answers hears of it by `race`; before that there is nobody.
  failed.promise.catch(() => {});
  const send = (socket: Socket, due: number): void => {
    let text = "";
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const head = text.indexOf("\r\n\r\n");
      if (head < 0 || text.length < head + 4 + BODY_BYTES) return;
      if (!text.startsWith("HTTP/1.1 200")) failed.reject(new Error(text));
      times.push(performance.now() - due);
      const next = waiting.shift();
      if (next === undefined) idle.push(socket);
      else send(socket, next);
    });
    const id = times.length;
    socket.write(
      `GET /small?id=${id} HTTP/1.1\r\nhost: ${authority}\r\nx-request-id: ${id}\r\n\r\n`,
    );
  };
  try {
    for (let at = 0; at < CONNECTIONS; at++) {
      const socket = connect({ host, port, noDelay: true });
      socket.on("error", failed.reject);
      await once(socket, "connect");
      sockets.push(socket);
      idle.push(socket);
    }
    const total = Math.round(perSecond * seconds);
    const started = performance.now();
    for (let sent = 0; sent < total; ) {
      const now = performance.now();
      for (; sent < total; sent++) {
        const due = started + (sent * 1000) / perSecond;
        if (due > now) break;
        const socket = idle.pop();
        if (socket === undefined) waiting.push(due);
        else send(socket, due);
      }
      await Promise.race([sleep(1), failed.promise]);
    }
    while (times.length < total) await Promise.race([sleep(5), failed.promise]);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)]!;
}
