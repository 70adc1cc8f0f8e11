import type { PolicyInit, UpdateInit } from "./control.ts";

/** Messages of the control plane as tests write them: everything required is there. */

/** A message, or a part of one, as plain data. */
export type Part = object;

const seconds = (value: number): Part => ({ seconds: BigInt(value), nanos: 0 });

const millis = (ms: number): Part => ({
  seconds: BigInt(Math.floor(ms / 1_000)),
  nanos: (ms % 1_000) * 1_000_000,
});

/** The bits of an IPv4 literal. */
export function ipv4Bits(ip: string): number {
  return ip.split(".").reduce((bits, part) => bits * 256 + Number(part), 0);
}

export function tcpAddress(authority: string): Part {
  const [ip, port] = authority.split(":");
  return {
    ip: { ip: { case: "ipv4" as const, value: ipv4Bits(ip!) } },
    port: Number(port),
  };
}

export interface AddressFacts {
  readonly tlsId?: string;
  readonly serverName?: string;
  readonly hint?: "h2" | "opaque";
  readonly inboundPort?: number;
  readonly labels?: Record<string, string>;
  readonly authority?: string;
}

/** @param authority - `127.0.0.1:80`. */
export function weightedAddr(authority: string, facts: AddressFacts = {}): Part {
  const { tlsId, hint, inboundPort, serverName = tlsId } = facts;
  const isUri = tlsId?.includes("://") === true;
  return {
    addr: tcpAddress(authority),
    weight: 1,
    metricLabels: facts.labels ?? {},
    ...(facts.authority === undefined
      ? {}
      : { authorityOverride: { authorityOverride: facts.authority } }),
    ...(tlsId === undefined
      ? {}
      : {
          tlsIdentity: {
            strategy: isUri
              ? { case: "uriLikeIdentity" as const, value: { uri: tlsId } }
              : { case: "dnsLikeIdentity" as const, value: { name: tlsId } },
            serverName: { name: serverName! },
          },
        }),
    ...(hint === undefined && inboundPort === undefined
      ? {}
      : {
          protocolHint: {
            protocol:
              hint === undefined ? { case: undefined } : { case: hint, value: {} as object },
            ...(inboundPort === undefined ? {} : { opaqueTransport: { inboundPort } }),
          },
        }),
  };
}

export function add(...addrs: Part[]): UpdateInit {
  return { update: { case: "add", value: { addrs, metricLabels: {} } } } as UpdateInit;
}

export function remove(...authorities: string[]): UpdateInit {
  return {
    update: { case: "remove", value: { addrs: authorities.map(tcpAddress) } },
  } as UpdateInit;
}

export function noEndpoints(exists: boolean): UpdateInit {
  return { update: { case: "noEndpoints", value: { exists } } };
}

export function service(name: string, port: number): Part {
  return {
    kind: {
      case: "resource" as const,
      value: { group: "core", kind: "Service", name, namespace: "default", section: "", port },
    },
  };
}

export function named(kind: string, name: string): Part {
  return {
    kind: {
      case: "resource" as const,
      value: { group: "gateway", kind, name, namespace: "default", section: "", port: 0 },
    },
  };
}

const implicit = (name: string): Part => ({ kind: { case: "default" as const, value: name } });

const queue: Part = { capacity: 100, failfastTimeout: seconds(3) };

/** A backend that is discovered by `path`. */
export function balanced(path: string, metadata: Part = service("web", 80)): Part {
  const value = {
    discovery: { kind: { case: "dst" as const, value: { path } } },
    load: {
      case: "peakEwma" as const,
      value: { defaultRtt: millis(30), decay: seconds(10) },
    },
  };
  return { metadata, queue, kind: { case: "balancer" as const, value } };
}

/** A backend that is one endpoint. */
export function forward(addr: Part): Part {
  return { metadata: service("web", 80), queue, kind: { case: "forward" as const, value: addr } };
}

export function first(...backends: Part[]): Part {
  const value = { backends: backends.map((backend) => ({ backend, filters: [] })) };
  return { kind: { case: "firstAvailable" as const, value } };
}

export interface RuleFacts {
  readonly matches?: Part[];
  readonly filters?: Part[];
  readonly backends?: Part;
  readonly timeouts?: { requestMs?: number; responseMs?: number; idleMs?: number };
  readonly retry?: Part;
  readonly allowsHeaders?: boolean;
}

export function rule(backend: Part, facts: RuleFacts = {}): Part {
  const { requestMs, responseMs, idleMs } = facts.timeouts ?? {};
  return {
    matches: facts.matches ?? [],
    filters: facts.filters ?? [],
    backends: facts.backends ?? first(backend),
    allowL5dRequestHeaders: facts.allowsHeaders ?? false,
    ...(facts.retry === undefined ? {} : { retry: facts.retry }),
    timeouts: {
      ...(requestMs === undefined ? {} : { request: millis(requestMs) }),
      ...(responseMs === undefined ? {} : { response: millis(responseMs) }),
      ...(idleMs === undefined ? {} : { idle: millis(idleMs) }),
    },
  };
}

export function httpRetry(
  maxRetries: number,
  statuses: [number, number][],
  timeoutMs?: number,
): Part {
  return {
    maxRetries,
    maxRequestBytes: 65_536,
    conditions: { statusRanges: statuses.map(([start, end]) => ({ start, end })) },
    ...(timeoutMs === undefined ? {} : { timeout: millis(timeoutMs) }),
  };
}

export function consecutiveFailures(maxFailures: number, minMs: number, maxMs: number): Part {
  const backoff = { minBackoff: millis(minMs), maxBackoff: millis(maxMs), jitterRatio: 0 };
  return { kind: { case: "consecutiveFailures" as const, value: { maxFailures, backoff } } };
}

export interface PolicyFacts {
  readonly http1?: Part[];
  readonly http2?: Part[];
  readonly accrual?: Part;
}

/** A policy that detects, with one route for each version unless others are given. */
export function detect(backend: Part, facts: PolicyFacts = {}): PolicyInit {
  const routes = [{ metadata: implicit("http"), hosts: [], rules: [rule(backend)] }];
  const accrual = facts.accrual === undefined ? {} : { failureAccrual: facts.accrual };
  const value = {
    timeout: seconds(10),
    http1: { routes: facts.http1 ?? routes, ...accrual },
    http2: { routes: facts.http2 ?? routes, ...accrual },
    opaque: { routes: [opaqueRoute(backend)] },
  };
  const protocol = { kind: { case: "detect", value } };
  return { metadata: service("web", 80), protocol } as unknown as PolicyInit;
}

/** A detecting policy with these rules, for both versions. */
export function rules(...given: Part[]): PolicyInit {
  const routes = [{ metadata: named("HTTPRoute", "route"), hosts: [], rules: given }];
  return detect(balanced("web.default.svc.cluster.local:80"), { http1: routes, http2: routes });
}

export function opaque(backend: Part): PolicyInit {
  const protocol = { kind: { case: "opaque", value: { routes: [opaqueRoute(backend)] } } };
  return { metadata: service("web", 80), protocol } as unknown as PolicyInit;
}

export function opaqueRoute(backend: Part): Part {
  const rules = [{ backends: first(backend), filters: [] }];
  return { metadata: implicit("opaque"), rules };
}
