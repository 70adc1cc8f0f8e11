/** Which collection an object is in: HTTPRoutes come from two. */
export type StatusKind = RouteCollection | "rate-limit" | "egress" | "server" | "authorization";

/** Where routes come from. */
export type RouteCollection = "policy-http" | "gateway-http" | "grpc" | "tls" | "tcp";

export interface StatusKey {
  readonly kind: StatusKind;
  readonly namespace: string;
  readonly name: string;
}

export function textOfKey({ kind, namespace, name }: StatusKey): string {
  return `${kind}/${namespace}/${name}`;
}

/** Of a text that `textOfKey` made: none of its parts has a slash. */
export function parseKey(text: string): StatusKey {
  const [kind, namespace, name] = text.split("/");
  return { kind: kind as StatusKind, namespace: namespace!, name: name! };
}

/** A status as it should be, in place of the one that the object of this version has. */
export interface StatusChange {
  readonly resourceVersion: string | undefined;
  readonly status: object;
  /** Whether it can wait: nothing has turned, only how many there are of something. */
  readonly isMinor: boolean;
}

/** Names of what statuses rest on. */
export const factOf = {
  server: (namespace: string, name: string): string => `server ${namespace}/${name}`,
  /** Any Server of a namespace. */
  servers: (namespace: string): string => `servers ${namespace}`,
  service: (namespace: string, name: string): string => `service ${namespace}/${name}`,
  egress: (namespace: string, name: string): string => `egress ${namespace}/${name}`,
  route: (kind: RouteCollection, namespace: string, name: string): string =>
    `route ${kind} ${namespace}/${name}`,
  authentication: (kind: string, namespace: string, name: string): string =>
    `${kind} ${namespace}/${name}`,
  /** Which kinds of routes name a parent. */
  claims: (parent: string): string => `claims ${parent}`,
  /** Which limits a Server has. */
  limits: (namespace: string, server: string): string => `limits ${namespace}/${server}`,
} as const;
