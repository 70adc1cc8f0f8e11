/** Policies of Linkerd's API, as short as a test wants them. */

interface Reference {
  readonly group?: string;
  readonly kind: string;
  readonly name?: string;
  readonly namespace?: string;
}

export const POLICY = "policy.linkerd.io";

export function server(namespace: string, more: Readonly<Record<string, unknown>> = {}): object {
  return object("v1beta3", "Server", namespace, "web", {
    podSelector: { matchLabels: { app: "web" } },
    port: 80,
    ...more,
  });
}

/** What is authorized if all of these are fulfilled. */
export function authorization(
  namespace: string,
  name: string,
  target: Reference,
  required: readonly Reference[],
): object {
  return object("v1alpha1", "AuthorizationPolicy", namespace, name, {
    targetRef: { ...target, group: target.group ?? POLICY },
    requiredAuthenticationRefs: required.map((one) => ({ ...one, group: one.group ?? POLICY })),
  });
}

export function meshTls(namespace: string, spec: object): object {
  return object("v1alpha1", "MeshTLSAuthentication", namespace, "mesh", spec);
}

export function network(namespace: string, ...cidrs: readonly string[]): object {
  return object("v1alpha1", "NetworkAuthentication", namespace, "network", {
    networks: cidrs.map((cidr) => ({ cidr })),
  });
}

export function serverAuthorization(namespace: string, name: string, client: object): object {
  return object("v1beta1", "ServerAuthorization", namespace, name, {
    server: { name: "web" },
    client,
  });
}

/** Requests to the Server for one path. */
export function serverRoute(namespace: string, name: string, path: string): object {
  return object("v1beta3", "HTTPRoute", namespace, name, {
    parentRefs: [{ group: POLICY, kind: "Server", name: "web" }],
    rules: [{ matches: [{ path: { type: "PathPrefix", value: path } }] }],
  });
}

export function object(
  version: string,
  kind: string,
  namespace: string,
  name: string,
  spec: object,
): object {
  return { apiVersion: `${POLICY}/${version}`, kind, metadata: { namespace, name }, spec };
}
