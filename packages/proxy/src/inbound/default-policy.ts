import type { Authorization } from "@heddle/model/authorization";
import { IdentityMatch } from "@heddle/model/identity";
import { ALL_NETWORKS, NetworkMatch } from "@heddle/model/network";
import { defaultMeta, type Meta } from "../meta.ts";
import type { InboundConfig } from "./config.ts";
import { catchAll, type InboundPolicy } from "./policy.ts";

/**
 * What holds on a port until the controller has spoken, by `LINKERD2_PROXY_INBOUND_DEFAULT_POLICY`:
 * `proxy-behaviour` 11.1.
 */
export function defaultPolicy(config: InboundConfig, isOpaque: boolean): InboundPolicy {
  const { defaultPolicy: name, detectTimeoutMs } = config;
  const server = defaultMeta(name);
  const rateLimit = undefined;
  if (name === "deny") {
    const routes = undefined;
    return { server, protocol: "opaque", detectTimeoutMs, authorizations: [], routes, rateLimit };
  }
  const networks = name.startsWith("cluster-")
    ? config.clusterNetworks.networks.map((network) => new NetworkMatch(network))
    : ALL_NETWORKS;
  const isAuthenticated = name.endsWith("-authenticated");
  const authorizations: readonly Authorization<Meta>[] = [
    {
      metadata: server,
      networks,
      authentication: isAuthenticated
        ? { kind: "identities", identities: new IdentityMatch([], [[]]) }
        : { kind: "unauthenticated" },
    },
  ];
  return {
    server,
    protocol: isOpaque ? "opaque" : "detect",
    detectTimeoutMs,
    authorizations,
    routes: isOpaque
      ? undefined
      : catchAll({ meta: defaultMeta("default"), authorizations, filters: [] }),
    rateLimit,
  };
}
