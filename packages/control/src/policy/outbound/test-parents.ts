import type { OutboundPolicy } from "@heddle/api/gen/outbound_pb";
import { SERVICES } from "@heddle/kube/types/core";
import { EGRESS_NETWORKS } from "@heddle/kube/types/linkerd";
import type { KubeObject, Resource } from "@heddle/kube/types/meta";
import {
  GATEWAY_GRPC_ROUTES,
  GATEWAY_HTTP_ROUTES,
  POLICY_HTTP_ROUTES,
  type Route,
} from "@heddle/kube/types/routes";
import { TCP_ROUTES, TLS_ROUTES } from "../resources.ts";
import { OUTSIDE_IP, type PolicyMesh, type Watch } from "../test-mesh.ts";

/** For tests only: routes of all kinds on parents of both kinds, as upstream's suite has them. */

/** HTTPRoutes of the gateway's and of Linkerd's group, GRPCRoutes, TLSRoutes, TCPRoutes. */
export type RouteKind = "H" | "L" | "G" | "T" | "C";
/** Services and EgressNetworks. */
export type ParentKind = "S" | "E";

export const ROUTES: Readonly<Record<RouteKind, Resource<Route<never>>>> = {
  H: GATEWAY_HTTP_ROUTES as Resource<Route<never>>,
  L: POLICY_HTTP_ROUTES as Resource<Route<never>>,
  G: GATEWAY_GRPC_ROUTES as Resource<Route<never>>,
  T: TLS_ROUTES as Resource<Route<never>>,
  C: TCP_ROUTES as Resource<Route<never>>,
};

export const PORT = 4191;
/** Whether a backend's port exists is nobody's business. */
export const BACKEND_PORT = 8888;

export interface ParentRefs {
  readonly kind: ParentKind;
  readonly namespace: string;
  readonly name: string;
  /** Where clients connect to. */
  readonly ip: string;
  readonly resource: Resource<KubeObject>;
  readonly ref: { readonly group: string; readonly kind: string; readonly name: string };
  /** A backend that the parent's routes may have. */
  readonly backend: { readonly group: string; readonly kind: string; readonly name: string };
}

export async function makeParent(
  mesh: PolicyMesh,
  kind: ParentKind,
  namespace: string,
  annotations: Record<string, string> = {},
): Promise<ParentRefs> {
  if (kind === "E") {
    await mesh.egress(namespace, annotations);
    const ref = { group: "policy.linkerd.io", kind: "EgressNetwork", name: "my-egress" };
    // Routes attach to networks that are accepted.
    await mesh.eventually("the EgressNetwork is accepted", async () => {
      const found = await mesh.client.get(EGRESS_NETWORKS, { namespace, name: "my-egress" });
      return found.status?.conditions?.[0]?.status === "True" ? true : undefined;
    });
    const common = { kind, namespace, name: "my-egress", ip: OUTSIDE_IP } as const;
    return { ...common, resource: EGRESS_NETWORKS, ref, backend: ref };
  }
  const service = await mesh.service(namespace, "my-svc", { annotations });
  await mesh.service(namespace, "backend");
  const ref = { group: "core", kind: "Service", name: "my-svc" };
  return {
    kind,
    namespace,
    name: "my-svc",
    ip: service.spec!.clusterIP!,
    resource: SERVICES,
    ref,
    backend: { group: "core", kind: "Service", name: "backend" },
  };
}

export interface RouteOptions {
  readonly name?: string;
  readonly namespace?: string;
  /** Undefined for every port of the parent. */
  readonly port?: number | undefined;
  readonly rules?: readonly object[];
  readonly annotations?: Record<string, string>;
  /** Whether to wait until the controller has accepted it. */
  readonly awaits?: boolean;
}

/** Makes a route with one rule, unless other rules are given. */
export async function makeRoute(
  mesh: PolicyMesh,
  kind: RouteKind,
  parent: ParentRefs,
  options: RouteOptions = {},
): Promise<void> {
  const { name = "foo-route", namespace = parent.namespace, annotations = {} } = options;
  const port = "port" in options ? options.port : PORT;
  const parentRef = {
    ...parent.ref,
    namespace: parent.namespace,
    ...(port === undefined ? {} : { port }),
  };
  const spec = { parentRefs: [parentRef], rules: options.rules ?? [{}] };
  await mesh.create(ROUTES[kind], namespace, name, { spec }, { annotations });
  if (options.awaits !== false) await mesh.accepted(ROUTES[kind], namespace, name);
}

/** Opens a watch on the parent's port, and takes its first message. */
export async function watchParent(
  mesh: PolicyMesh,
  parent: ParentRefs,
  options: { readonly from?: string; readonly port?: number } = {},
): Promise<{ readonly watch: Watch<OutboundPolicy>; readonly first: Plain }> {
  const { from = parent.namespace, port = PORT } = options;
  const watch = await mesh.watchOutbound(from, parent.ip, port);
  return { watch, first: plain(await watch.next()) };
}

// biome-ignore lint/suspicious/noExplicitAny: a message as a test reads it, field by field
export type Plain = any;

/** A message without what the library adds: oneofs by their case, bytes as text, no bigints. */
export function plain(value: unknown): Plain {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const { case: chosen, value: inner, ...rest } = value as Record<string, unknown>;
  if ("case" in value) return typeof chosen === "string" ? { [chosen]: plain(inner) } : undefined;
  if ("value" in value) Object.assign(rest, { value: inner });
  return Object.fromEntries(
    Object.entries(rest)
      .filter(([key, field]) => key !== "$typeName" && field !== undefined)
      .map(([key, field]) => [key, plain(field)]),
  );
}

/** The routes in which a kind of route is sent, whatever the protocol. */
export function routesIn(policy: Plain): Plain[] {
  const { detect, http1, http2, grpc, tls, opaque } = policy.protocol.kind;
  if (detect !== undefined) return detect.http1.routes;
  return (http1 ?? http2 ?? grpc ?? tls ?? opaque).routes;
}

/** A route's name, or that of the default it is. */
export function nameOf(route: Plain): string {
  return route.metadata.kind.default ?? route.metadata.kind.resource.name;
}

export function namesIn(policy: Plain): string[] {
  return routesIn(policy).map(nameOf);
}

export function ruleOf(policy: Plain, route = 0, rule = 0): Plain {
  return routesIn(policy)[route].rules[rule];
}

/** The first backend of a rule, weighted or not. */
export function backendOf(rule: Plain): Plain {
  const { firstAvailable, randomAvailable } = rule.backends.kind;
  return firstAvailable?.backends[0] ?? randomAvailable.backends[0].backend;
}

/** What follows a parent's own routes when nothing else is said. */
export function defaultsOf(parent: ParentRefs, kind: RouteKind): string[] {
  if (parent.kind === "S" || kind === "C") return [];
  const protocol = { H: "http", L: "http", G: "grpc", T: "tls" }[kind];
  return [`${protocol}-egress-allow`];
}
