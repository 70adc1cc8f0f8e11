import { MeshError } from "@heddle/base/errors";
import { dial } from "@heddle/net/dialer";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import type { Runtime } from "../runtime.ts";
import type { InboundConfig } from "./config.ts";

/**
 * Connects to the application, in plaintext: at the original destination, or where
 * `HEDDLE_PROXY_INBOUND_APP_IP` says.
 *
 * @throws MeshError of `dial`; `connect_refused` for our own port, where we would meet ourselves.
 */
export function connectApp(
  target: SocketAddress,
  config: InboundConfig,
  runtime: Runtime,
  signal?: AbortSignal,
): Promise<Socket> {
  const ip = config.appIp ?? target.ip;
  if (target.port === config.listen.port && isOwn(ip, config)) {
    const message = `inbound connection must not target port ${target.port}`;
    return Promise.reject(new MeshError("connect_refused", "client", message));
  }
  const { keepAliveMs, userTimeoutMs } = config.connect;
  return dial({
    address: { ip, port: target.port },
    timeoutMs: config.connectTimeoutMs,
    keepAliveMs,
    userTimeoutMs,
    guard: runtime.guard,
    dialled: runtime.dialled,
    signal,
  });
}

/** Without an address of the application's own, every address may lead back to us. */
function isOwn(ip: string, config: InboundConfig): boolean {
  return config.appIp === undefined || ip === config.listen.host;
}
