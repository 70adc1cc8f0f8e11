import type { Client } from "@heddle/model/authorization";
import type { HttpService } from "@heddle/net/http";
import type { SocketAddress } from "@heddle/net/transport";
import { formatSocket } from "../discovery/endpoint.ts";
import { EndpointErrors } from "../http/endpoint-errors.ts";
import { OrigProtoDowngrade } from "../http/orig-proto.ts";
import type { ClientInfo } from "../record.ts";
import type { Runtime } from "../runtime.ts";
import { Admission } from "./admission.ts";
import type { AppClient } from "./app-client.ts";
import { MeasuredApp } from "./app-exchange.ts";
import { ClientIdHeader } from "./client-id.ts";
import type { TargetMetrics } from "./metrics.ts";
import type { PortPolicy } from "./port-policies.ts";

/** What one connection's HTTP is for, and whose it is. */
export interface InboundHttpTarget {
  /** Where the application is. */
  readonly app: SocketAddress;
  readonly policy: PortPolicy;
  readonly client: Client;
  readonly clientInfo: ClientInfo;
  readonly metrics: TargetMetrics;
  readonly appClient: AppClient;
}

/**
 * The inbound HTTP stack of one connection, innermost first: each line wraps the line above it, so
 * a request runs through them from the bottom up. The edge stands before all of it (http/serve.ts).
 */
export function newInboundHttp(target: InboundHttpTarget, runtime: Runtime): HttpService {
  const { app, policy, client, clientInfo, metrics } = target;
  const who = clientInfo.tlsId ?? `${clientInfo.ip} without identity`;
  const failing = new EndpointErrors(target.appClient, {
    log: runtime.log,
    tellsWhy: (record) => record.client?.tlsId !== undefined,
    isClosable: false,
    isRemote: false,
  });
  const measured = new MeasuredApp(failing, runtime.clock, formatSocket(app.ip, app.port));
  const admitted = new Admission(measured, policy, client, who, metrics, runtime);
  const identified = new ClientIdHeader(admitted, clientInfo.tlsId);
  // Nothing of the application's version is known above this line.
  return new OrigProtoDowngrade(identified);
}
