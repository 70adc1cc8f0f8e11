import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { MeshError, messageOf } from "@heddle/base/errors";
import type { Log } from "@heddle/base/log";
import { formatAddress } from "@heddle/net/address";
import type { SocketAddress } from "@heddle/net/transport";

export interface ValidatorOptions {
  /** Where the rules are to send what goes out: the proxy's outbound port. */
  readonly listen: SocketAddress;
  /** Where nobody is. Reaching us there proves the rules. */
  readonly connect: SocketAddress;
  readonly timeoutMs: number;
  /** As it was given, for the log. */
  readonly timeout: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** What the container ends with if the rules are not there: ENOTSUP. The repair controller looks for it. */
export const NOT_VALIDATED_EXIT_CODE = 95;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** With the newline that ends it. */
const TOKEN_BYTES = 64;
/** Nobody but us connects here. */
const MAX_CONNECTIONS = 16;

/**
 * Proves that what a process of this pod sends goes to the proxy's port: listens there, connects to
 * where nobody is, and looks for its own token in the answer.
 *
 * @returns whether it is so; why not is in the log.
 */
export async function validateNetwork(options: ValidatorOptions): Promise<boolean> {
  const { timeoutMs, timeout, log, signal } = options;
  const late = AbortSignal.timeout(timeoutMs);
  try {
    await validate(options, AbortSignal.any([signal, late]));
  } catch (error) {
    if (signal.aborted) log.error(`Killed by ${String(signal.reason)}`);
    else if (late.aborted) {
      log.error("Failed to validate networking configuration", { timeout });
    } else if (error instanceof MeshError) log.error(messageOf(error));
    else throw error;
    return false;
  }
  log.info("Validated");
  return true;
}

/** A number with one of `ms`, `s`, `m`, `h`, `d`; 0 needs none. @throws SyntaxError */
export function parseTimeout(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,15})(ms|s|m|h|d|)$/.exec(text.trim()) ?? [];
  if (digits === undefined || (unit === "" && Number(digits) !== 0)) {
    throw new SyntaxError(`"${text}" is not a duration: a number and ms, s, m, h or d`);
  }
  const ms = Number(digits) * ({ ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 }[unit] ?? 0);
  // Timers take no more than 2^31 - 1 of them.
  if (ms >= 2 ** 31) throw new SyntaxError(`"${text}" is too long a time`);
  return ms;
}

async function validate(options: ValidatorOptions, signal: AbortSignal): Promise<void> {
  const { log } = options;
  const token = newToken();
  log.debug?.("token", { token });
  const server = await listen(options, token, signal);
  try {
    log.info(`Connecting to ${formatAddress(options.connect)}`);
    const data = await read(options, signal);
    log.debug?.("received", { data, size: data.length });
    if (data !== token) {
      throw failure(
        `expected client to receive ${JSON.stringify(token)}; got ${JSON.stringify(data)} instead`,
      );
    }
  } finally {
    server.close();
  }
}

function newToken(): string {
  const letters = Array.from({ length: TOKEN_BYTES - 1 }, () => ALPHABET[randomInt(62)]);
  return `${letters.join("")}\n`;
}

async function listen(
  { listen: at, log }: ValidatorOptions,
  token: string,
  signal: AbortSignal,
): Promise<Server> {
  const server = createServer((socket) => {
    const client = `${socket.remoteAddress}:${socket.remotePort}`;
    log.debug?.("Accepted", { client });
    socket.on("error", (error) => {
      log.error("Failed to write bytes to client", { client, error: messageOf(error) });
    });
    socket.end(token, () => {
      log.debug?.("Wrote message to client", { client, bytes: token.length });
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen(at.port, at.ip);
  try {
    await once(server, "listening", { signal });
  } catch (cause) {
    server.close();
    throw failure(`Cannot listen on ${formatAddress(at)}`, cause);
  }
  log.info(`Listening for connections on ${formatAddress(at)}`);
  return server;
}

/** As many bytes as our token has, or what came before the end. */
function read({ connect: to, log }: ValidatorOptions, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket: Socket = connect({ host: to.ip, port: to.port });
  const stop = (): void => void socket.destroy(failure("Cannot wait any longer"));
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  let data = "";
  socket.setEncoding("latin1");
  socket.on("connect", () => {
    log.debug?.("Connected", { client: `${socket.localAddress}:${socket.localPort}` });
  });
  socket.on("data", (chunk: string) => {
    log.debug?.("Read message from server", { bytes: chunk.length });
    data += chunk;
    if (data.length >= TOKEN_BYTES) resolve(data.slice(0, TOKEN_BYTES));
  });
  socket.on("end", () => resolve(data));
  socket.on("error", (cause) => reject(failure(`Cannot reach ${formatAddress(to)}`, cause)));
  return promise.finally(() => {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  });
}

function failure(message: string, cause?: unknown): MeshError {
  return new MeshError("not_validated", "self", message, { cause });
}
