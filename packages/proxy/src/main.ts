import { once } from "node:events";
import { Env } from "@heddle/base/env";
import type { Log } from "@heddle/base/log";
import { AdminRoutes } from "./admin/routes.ts";
import { startAdmin } from "./admin/server.ts";
import { loadProxy, type ProxyConfig } from "./config.ts";
import { startInbound } from "./inbound/accept.ts";
import { InboundMetrics } from "./inbound/metrics.ts";
import { PortPolicies } from "./inbound/port-policies.ts";
import { Outbound, REDIRECTED } from "./outbound/outbound.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import type { Runtime } from "./runtime.ts";
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

  const ended = new AbortController();
  const end = (): void => ended.abort();
  stop.addEventListener("abort", end);
  if (stop.aborted) end();

  await using parts = new AsyncDisposableStack();
  const runtime = parts.use(startRuntime(config, log));
  addProcessMetrics(runtime.metrics, runtime.clock);
  const transport = new TransportFamilies(runtime.metrics);
  const policies = parts.adopt(newPolicies(config, runtime), (owned) => owned.close());
  const metrics = new InboundMetrics(runtime.metrics, config.inbound.authorityLabels);
  const outbound = new Outbound(config.outbound, runtime, transport);
  const inbound = await startInbound({
    config: config.inbound,
    runtime,
    policies,
    transport,
    metrics,
  });
  const admin = await startAdmin({
    listen: config.adminListen,
    accept: config.inbound.accept,
    routes: new AdminRoutes({
      runtime,
      isReady: () => runtime.identity.isReady,
      shutdown: config.shutdownEndpoint ? end : undefined,
      environment: process.env,
      isLogOff: get("LINKERD2_PROXY_LOG") === "off",
    }),
    policies,
    metrics,
    transport,
    runtime,
  });
  // All sides stop accepting at once, and share one grace.
  parts.defer(async () => {
    const grace = config.shutdownGraceMs;
    await Promise.all([outbound.close(grace), inbound.close(grace), admin.close(grace)]);
  });
  await outbound.listen(REDIRECTED);

  const warning = setInterval(() => {
    log.warn("Waiting for identity to be initialized...");
  }, WAITING_WARNING_MS);
  const stopped = ended.signal.aborted ? Promise.resolve() : once(ended.signal, "abort");
  await Promise.race([runtime.identity.ready, stopped]);
  clearInterval(warning);
  if (ended.signal.aborted) return;
  outbound.accept();
  log.info("Accepting connections", { id: runtime.identity.id });
  await stopped;
  stop.removeEventListener("abort", end);
}

/** The admin port's policy is watched from the start, and the gateway's, if we are one. */
function newPolicies({ inbound, adminListen }: ProxyConfig, runtime: Runtime): PortPolicies {
  const gateway = inbound.gatewaySuffixes === undefined ? [] : [inbound.listen.port];
  return new PortPolicies(inbound, runtime, [adminListen.port, ...gateway]);
}
