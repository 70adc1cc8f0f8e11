import { MeshError } from "@heddle/base/errors";
import { authorize, type Client } from "@heddle/model/authorization";
import type { Socket, SocketAddress } from "@heddle/net/transport";
import type { Connections, Served } from "../connections.ts";
import { formatMeta, type Meta } from "../meta.ts";
import type { Runtime } from "../runtime.ts";
import { splice } from "../tcp/splice.ts";
import type { TransportMetrics } from "../tcp/transport-metrics.ts";
import type { InboundConfig } from "./config.ts";
import { connectApp } from "./connect-app.ts";
import type { TargetMetrics } from "./metrics.ts";
import { forwardsBytes } from "./policy.ts";
import type { PortPolicy } from "./port-policies.ts";

export interface ForwardTarget {
  readonly app: SocketAddress;
  readonly policy: PortPolicy;
  readonly client: Client;
  readonly clientText: string;
  readonly metrics: TargetMetrics;
  readonly config: InboundConfig;
  readonly runtime: Runtime;
  readonly connections: Connections;
  /** Of connections to the application. */
  readonly toApp: TransportMetrics;
}

/**
 * Passes a connection to the application as it is, while the policy admits it: a change of policy
 * that no longer does ends it.
 *
 * @throws MeshError `unauthorized`, and those of the connect; the client's socket is then destroyed.
 */
export async function forward(client: Socket, target: ForwardTarget): Promise<void> {
  const { policy, metrics, config, runtime, connections } = target;
  const admitted = admission(target);
  if (admitted === undefined) {
    const { server } = policy.current;
    metrics.tcpDenied(server);
    runtime.log.info("Connection denied", {
      server: formatMeta(server),
      client: target.clientText,
    });
    const message = `Cannot forward connection: ${target.clientText} is admitted by no authorization of server ${formatMeta(server)}`;
    const error = new MeshError("unauthorized", "client", message);
    client.destroy(error);
    throw error;
  }
  metrics.tcpAllowed(policy.current.server, admitted);
  let app: Socket;
  try {
    app = target.toApp.measure(await connectApp(target.app, config, runtime));
  } catch (error) {
    client.destroy(error instanceof MeshError ? error : undefined);
    throw error;
  }
  const gone = Promise.withResolvers<void>();
  const joined = splice(client, app, () => {
    policy.unlisten(recheck);
    policy.release();
    remove();
    gone.resolve();
  });
  const recheck = (): void => {
    if (admission(target) !== undefined) return;
    const { server } = policy.current;
    metrics.tcpTerminated(server);
    runtime.log.info("Connection terminated by a change of policy", {
      server: formatMeta(server),
      client: target.clientText,
    });
    joined.destroy();
  };
  policy.hold();
  policy.listen(recheck);
  // At shutdown connections are merely awaited: nobody can tell them to end.
  const served: Served = {
    close: async (graceMs) => {
      const timer = setTimeout(() => joined.destroy(), graceMs);
      await gone.promise;
      clearTimeout(timer);
    },
  };
  const remove = connections.add(served);
}

/** What admits the connection now; undefined: nothing does. */
function admission({ policy, client }: ForwardTarget): Meta | undefined {
  const { current } = policy;
  if (!forwardsBytes(current)) return undefined;
  return authorize(current.authorizations, client)?.metadata;
}
