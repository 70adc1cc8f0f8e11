import type { KubeClient } from "@heddle/kube/client";
import { hasReason } from "@heddle/kube/errors";
import { NAMESPACES, SERVICES } from "@heddle/kube/types/core";
import {
  AUTHORIZATION_POLICIES,
  MESH_TLS_AUTHENTICATIONS,
  SERVERS,
} from "@heddle/kube/types/linkerd";
import { type KubeObject, keyOf, type Resource } from "@heddle/kube/types/meta";
import { GATEWAY_GRPC_ROUTES, POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";

export const NAMESPACE = "shop";

const RETRIES = {
  "retry.linkerd.io/http": "gateway-error",
  "retry.linkerd.io/grpc": "unavailable,deadline-exceeded,internal,cancelled",
  "retry.linkerd.io/limit": "4",
  "balancer.linkerd.io/failure-accrual": "consecutive",
  "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "3",
} as const;

const meta = (name: string, annotations: Readonly<Record<string, string>> = {}): KubeObject => ({
  metadata: { namespace: NAMESPACE, name, annotations },
});

/** The shop's Services, and a route for its gRPC methods. */
export async function createServices(client: KubeClient): Promise<void> {
  await client.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  const service = (name: string, port: number, annotations = {}): Promise<unknown> =>
    client.create(SERVICES, {
      ...meta(name, annotations),
      spec: { selector: { app: name }, ports: [{ name: "main", port, targetPort: port }] },
    });
  await service("catalog", 8080, RETRIES);
  await service("pricing", 9090, RETRIES);
  await service("stock", 7070);
  await client.create(GATEWAY_GRPC_ROUTES, {
    ...meta("pricing", RETRIES),
    spec: {
      parentRefs: [{ group: "", kind: "Service", name: "pricing", port: 9090 }],
      rules: [{ backendRefs: [{ name: "pricing", port: 9090 }] }],
    },
  });
}

/** Only the manager may read reports: on pods and on machines that serve the catalogue. */
export async function createPolicies(client: KubeClient, managerId: string): Promise<void> {
  const create = async <T extends KubeObject>(of: Resource<T>, object: T): Promise<void> => {
    try {
      await client.create(of, object);
    } catch (error) {
      if (!hasReason(error, "AlreadyExists")) throw error;
      throw new Error(`${keyOf(object)} is there already`);
    }
  };
  await create(MESH_TLS_AUTHENTICATIONS, {
    ...meta("manager"),
    spec: { identities: [managerId] },
  });
  await create(MESH_TLS_AUTHENTICATIONS, { ...meta("everybody"), spec: { identities: ["*"] } });
  for (const kind of ["pods", "machines"] as const) {
    const server = `catalog-${kind}`;
    const selector = { matchLabels: { app: "catalog" } };
    await create(SERVERS, {
      ...meta(server),
      spec: {
        port: 8080,
        proxyProtocol: "HTTP/1",
        ...(kind === "pods" ? { podSelector: selector } : { externalWorkloadSelector: selector }),
      },
    });
    for (const [route, path, client] of [
      ["reports", "/admin", "manager"],
      ["public", "/", "everybody"],
    ] as const) {
      const name = `${server}-${route}`;
      await create(POLICY_HTTP_ROUTES, {
        ...meta(name),
        spec: {
          parentRefs: [{ group: "policy.linkerd.io", kind: "Server", name: server }],
          rules: [{ matches: [{ path: { type: "PathPrefix", value: path } }] }],
        },
      });
      await create(AUTHORIZATION_POLICIES, {
        ...meta(name),
        spec: {
          targetRef: { group: "policy.linkerd.io", kind: "HTTPRoute", name },
          requiredAuthenticationRefs: [
            { group: "policy.linkerd.io", kind: "MeshTLSAuthentication", name: client },
          ],
        },
      });
    }
  }
}
