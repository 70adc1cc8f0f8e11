import type { Service } from "@heddle/kube/types/core";
import { formatIp, parseIp } from "@heddle/model/network";
import { mergesRoutes } from "../../route-merge.ts";
import {
  type OnBadAnnotation,
  parseTrafficSettings,
  type TrafficSettings,
} from "../annotations.ts";
import { identityOf } from "../refs.ts";

/** How a Service's port says that it is spoken to. */
export type AppProtocol = "http1" | "http2" | "opaque";

export interface OutboundService {
  readonly namespace: string;
  readonly name: string;
  /** In canonical text. */
  readonly clusterIps: readonly string[];
  /** Every port, with its protocol if it states one. */
  readonly ports: ReadonlyMap<number, AppProtocol | undefined>;
  readonly settings: TrafficSettings;
  /** Whether its ServiceProfile, its annotations and its routes hold together. */
  readonly mergesRoutes: boolean;
}

export function outboundServiceOf(service: Service, onBad: OnBadAnnotation): OutboundService {
  const { namespace, name } = identityOf(service);
  const spec = service.spec ?? {};
  const ips = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    namespace,
    name,
    clusterIps: ips.flatMap((text) => {
      const ip = parseIp(text);
      return ip === undefined ? [] : [formatIp(ip)];
    }),
    ports: new Map(
      (spec.ports ?? []).map(({ port, appProtocol }) => [port, appProtocolOf(appProtocol)]),
    ),
    settings: parseTrafficSettings(service.metadata.annotations ?? {}, onBad),
    mergesRoutes: mergesRoutes(service.metadata.annotations),
  };
}

/** A protocol that we do not know is bytes to us. */
function appProtocolOf(text: string | undefined): AppProtocol | undefined {
  switch (text?.toLowerCase()) {
    case undefined:
      return undefined;
    case "http":
      return "http1";
    case "kubernetes.io/h2c":
      return "http2";
    default:
      return "opaque";
  }
}
