import { MeshError } from "@heddle/base/errors";

export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly ownerReferences?: readonly OwnerReference[] | null;
}

export interface OwnerReference {
  readonly kind: string;
  readonly name: string;
}

export interface Probe {
  readonly httpGet?: { readonly port: number | string } | null;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
}

export interface Capabilities {
  readonly add?: readonly string[] | null;
  readonly drop?: readonly string[] | null;
}

/** What injection reads of a container. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?:
    | readonly {
        readonly containerPort: number;
        readonly name?: string;
        readonly protocol?: string;
      }[]
    | null;
  readonly livenessProbe?: Probe | null;
  readonly readinessProbe?: Probe | null;
  readonly volumeMounts?: readonly VolumeMount[] | null;
  readonly securityContext?: { readonly capabilities?: Capabilities | null } | null;
}

export interface PodSpec {
  readonly hostNetwork?: boolean | null;
  readonly automountServiceAccountToken?: boolean | null;
  readonly containers?: readonly Container[] | null;
  readonly initContainers?: readonly Container[] | null;
  readonly volumes?: readonly { readonly name: string }[] | null;
}

/** A pod, or the template of one. */
export interface Pod {
  readonly metadata?: ObjectMeta | null;
  readonly spec?: PodSpec | null;
}

/** Init containers, then the others. */
export function allContainers(pod: Pod): readonly Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
}

export const SERVICE_ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Where the first container has its ServiceAccount's token. */
export function serviceAccountMount(pod: Pod): VolumeMount | undefined {
  const mounts = pod.spec?.containers?.[0]?.volumeMounts ?? [];
  return mounts.find(({ mountPath }) => mountPath === SERVICE_ACCOUNT_PATH);
}

type Check = (value: unknown, path: string) => void;

/**
 * Takes for a pod what has a pod's form, as far as injection reads it.
 *
 * @throws MeshError `bad_pod` with the path of what has not.
 */
export function checkPod(value: unknown): Pod {
  POD(value, "pod");
  return value as Pod;
}

/** As {@link checkPod}, of metadata alone. */
export function checkMeta(value: unknown): ObjectMeta {
  META(value, "metadata");
  return (value ?? {}) as ObjectMeta;
}

const TEXT = primitive("text", "string");
const NUMBER = primitive("a number", "number");
const FLAG = primitive("a boolean", "boolean");
const PORT: Check = (value, path) => {
  if (typeof value !== "number" && typeof value !== "string") refuse(path, "a port");
};
const TEXTS: Check = (value, path) => {
  for (const [key, text] of Object.entries(asMap(value, path))) TEXT(text, `${path}.${key}`);
};
const PROBE = map({ httpGet: map({ port: PORT }) });
const CONTAINER = map({
  name: TEXT,
  image: TEXT,
  ports: list(map({ containerPort: NUMBER, name: TEXT, protocol: TEXT })),
  livenessProbe: PROBE,
  readinessProbe: PROBE,
  volumeMounts: list(map({ name: TEXT, mountPath: TEXT })),
  securityContext: map({ capabilities: map({ add: list(TEXT), drop: list(TEXT) }) }),
});
const META = map({
  name: TEXT,
  generateName: TEXT,
  namespace: TEXT,
  annotations: TEXTS,
  labels: TEXTS,
  ownerReferences: list(map({ kind: TEXT, name: TEXT })),
});
const POD = map({
  metadata: META,
  spec: map({
    hostNetwork: FLAG,
    automountServiceAccountToken: FLAG,
    containers: list(CONTAINER),
    initContainers: list(CONTAINER),
    volumes: list(map({ name: TEXT })),
  }),
});

/** What is absent or null passes every check. */
function primitive(what: string, type: "string" | "number" | "boolean"): Check {
  return (value, path) => {
    if (typeof value !== type) refuse(path, what);
  };
}

function map(fields: Readonly<Record<string, Check>>): Check {
  return (value, path) => {
    if (value === undefined || value === null) return;
    const found = asMap(value, path);
    for (const [key, check] of Object.entries(fields)) {
      const field = Object.hasOwn(found, key) ? found[key] : undefined;
      if (field !== undefined && field !== null) check(field, `${path}.${key}`);
    }
  };
}

function list(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return refuse(path, "a list");
    for (const [index, item] of value.entries()) {
      if (item === undefined || item === null) refuse(`${path}[${index}]`, "an item");
      check(item, `${path}[${index}]`);
    }
  };
}

function asMap(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  return refuse(path, "a map");
}

function refuse(path: string, what: string): never {
  throw new MeshError("bad_pod", "client", `Cannot read ${path}: it is not ${what}`);
}
