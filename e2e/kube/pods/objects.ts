/** Objects of applications that know nothing of a mesh. */
import { BUSYBOX_IMAGE, CURL_IMAGE, NGINX_IMAGE } from "../test-images.ts";

type Annotations = Readonly<Record<string, string>>;

export interface AppOptions {
  /** Of the pods. */
  readonly annotations?: Annotations;
  readonly labels?: Readonly<Record<string, string>>;
  readonly replicas?: number;
  /** Of the container, over what it has anyway. */
  readonly container?: Readonly<Record<string, unknown>>;
  /** Of the pods, over what they have anyway. */
  readonly pod?: Readonly<Record<string, unknown>>;
}

interface Container {
  readonly image: string;
  readonly command?: readonly string[];
  readonly [field: string]: unknown;
}

export function namespace(name: string, annotations: Annotations = {}): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, annotations } };
}

/** Says that a pod of a meshed namespace shall not be meshed. */
export const PLAIN = { "linkerd.io/inject": "disabled" } as const;

/** A namespace all of whose pods are meshed. */
export function meshed(name: string, annotations: Annotations = {}): object {
  return namespace(name, { "linkerd.io/inject": "enabled", ...annotations });
}

/** nginx on port 80, with its own account. Unless told otherwise it is probed by HTTP. */
export function nginx(
  namespace: string,
  name: string,
  options: AppOptions & { readonly isProbed?: boolean } = {},
): object[] {
  const probe = { httpGet: { path: "/healthy", port: 80 }, periodSeconds: 1 };
  return app(namespace, name, options, {
    image: NGINX_IMAGE,
    ports: [{ containerPort: 80 }],
    ...(options.isProbed === false ? {} : { readinessProbe: probe }),
  });
}

/** Somewhere to run curl, with its own account. */
export function client(namespace: string, name: string, options: AppOptions = {}): object[] {
  return app(namespace, name, options, {
    image: CURL_IMAGE,
    command: ["/bin/sleep", "1000000"],
  });
}

/** What a shell's line does, with busybox, with its own account. */
export function shell(
  namespace: string,
  name: string,
  line: string,
  more: Readonly<Record<string, unknown>> = {},
  options: AppOptions = {},
): object[] {
  return app(namespace, name, options, {
    image: BUSYBOX_IMAGE,
    command: ["sh", "-c", line],
    ...more,
  });
}

export function service(
  namespace: string,
  name: string,
  ports: readonly object[] = [{ port: 80 }],
  more: { readonly annotations?: Annotations; readonly app?: string } = {},
): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name, annotations: more.annotations ?? {} },
    spec: { selector: { app: more.app ?? name }, ports },
  };
}

export function job(
  namespace: string,
  name: string,
  container: Container,
  volumes: readonly object[] = [],
): object[] {
  return [
    account(namespace, name),
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { namespace, name },
      spec: {
        backoffLimit: 0,
        template: {
          metadata: { labels: { app: name } },
          spec: {
            serviceAccountName: name,
            restartPolicy: "Never",
            containers: [{ name, ...container }],
            volumes,
          },
        },
      },
    },
  ];
}

function account(namespace: string, name: string): object {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } };
}

function app(namespace: string, name: string, options: AppOptions, container: Container): object[] {
  return [
    account(namespace, name),
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { namespace, name },
      spec: {
        replicas: options.replicas ?? 1,
        selector: { matchLabels: { app: name } },
        template: {
          metadata: {
            labels: { app: name, ...options.labels },
            annotations: options.annotations ?? {},
          },
          spec: {
            serviceAccountName: name,
            // A test does not wait for programs that do not hear of their end.
            terminationGracePeriodSeconds: 1,
            containers: [{ name, ...container, ...options.container }],
            ...options.pod,
          },
        },
      },
    },
  ];
}

export interface ContainerStatus {
  readonly name: string;
  readonly image: string;
  readonly ready: boolean;
  readonly restartCount: number;
  /** Of the last start: `containerd://…`. */
  readonly containerID?: string;
  readonly state?: { readonly terminated?: Terminated };
  /** How the start before the last ended. */
  readonly lastState?: { readonly terminated?: Terminated };
}

interface Terminated {
  readonly exitCode: number;
  readonly reason?: string;
}

/** What a kubelet tells of a pod, and `Pod` leaves out. */
export interface RunningPod {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}
