import { once } from "node:events";
import { Env } from "@heddle/base/env";
import type { Log } from "@heddle/base/log";
import { loadProxy } from "./config.ts";
import { Outbound, REDIRECTED } from "./outbound/outbound.ts";
import { startRuntime } from "./start-runtime.ts";
import { TransportFamilies } from "./tcp/transport-metrics.ts";

/** While there is no certificate, this often is said why nothing is accepted. */
const WAITING_WARNING_MS = 15_000;

/**
 * The composition root: the one place that knows every part. Everything is bound at once; traffic
 * is accepted when the first certificate is there; parts close in reverse order.
 *
 * @throws MeshError `bad_config` with every problem of the environment.
 */
export async function runProxy(
  get: (name: string) => string | undefined,
  log: Log,
  stop: AbortSignal,
): Promise<void> {
  const env = new Env(get);
  const config = loadProxy(env);
  env.check();

  await using parts = new AsyncDisposableStack();
  const runtime = parts.use(startRuntime(config, log));
  const transport = new TransportFamilies(runtime.metrics);
  const outbound = new Outbound(config.outbound, runtime, transport);
  parts.defer(() => outbound.close(config.shutdownGraceMs));
  await outbound.listen(REDIRECTED);

  const warning = setInterval(() => {
    log.warn("Waiting for identity to be initialized...");
  }, WAITING_WARNING_MS);
  const stopped = stop.aborted ? Promise.resolve() : once(stop, "abort");
  await Promise.race([runtime.identity.ready, stopped]);
  clearInterval(warning);
  if (stop.aborted) return;
  outbound.accept();
  log.info("Accepting connections", { id: runtime.identity.id });
  await stopped;
}
