import { digArray, digObject, digString, type JsonObject, own } from "@heddle/apiserver/json/value";
import type { FieldReader, FieldReaders } from "@heddle/apiserver/objects/field-selector";
import { builtInType } from "./built-in-types.ts";
import { AGE, ageOf, column, countOf, field, NAME, pairs } from "./columns.ts";
import { CRD } from "./custom-definition.ts";
import { defaultCronJob, defaultWorkload } from "./defaults.ts";
import { eventFromCore, eventToCore } from "./event.ts";
import { nodeStatus, podReady, podRestarts, podStatus, servicePorts } from "./printing.ts";
import {
  ALL_VERBS,
  type Column,
  type ResourceType,
  type ScalePaths,
  type Strategy,
  type Verb,
  type VersionView,
} from "./resource-type.ts";
import { SERVICE } from "./service.ts";
import {
  CONFIG_MAP,
  GENERATED,
  NAMESPACE,
  PLAIN,
  POD,
  ROLE,
  ROLE_BINDING,
  SECRET,
  SERVICE_ACCOUNT,
  WORKLOAD,
} from "./strategy.ts";
import { WEBHOOKS } from "./webhooks.ts";

/** One row of the table below. What is left out has the value that most kinds have. */
interface Row {
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly plural: string;
  readonly short?: readonly string[];
  readonly categories?: readonly string[];
  readonly scope?: "Cluster";
  readonly hasStatus?: boolean;
  readonly scale?: ScalePaths;
  /** Between name and age. */
  readonly columns?: readonly Column[];
  readonly fields?: readonly string[];
  readonly readers?: FieldReaders;
  readonly strategy?: Strategy;
  readonly verbs?: readonly Verb[];
  /** Further versions of the same objects under another group are rows of their own. */
  readonly more?: readonly VersionView[];
}

const SCALE: ScalePaths = {
  specReplicas: ["spec", "replicas"],
  statusReplicas: ["status", "replicas"],
  labelSelector: ["spec", "selector"],
};

const replicas = (path: string, name: string): Column =>
  column(name, (object) => number(object, ...path.split(".")));

function number(object: JsonObject, ...path: readonly string[]): number {
  const found = path.reduce<unknown>((value, key) => own(value as JsonObject, key), object);
  return typeof found === "number" ? found : 0;
}

const CREATE_ONLY: readonly Verb[] = ["create"];

/**
 * Every built-in kind: what it is called, what is printed of it, and what is special about it.
 * The fields of each are in `types/`. Discovery, validation, patches, tables and OpenAPI all read
 * this table.
 */
const ROWS: readonly Row[] = [
  {
    kind: "Namespace",
    plural: "namespaces",
    short: ["ns"],
    scope: "Cluster",
    hasStatus: true,
    columns: [field("Status", "status.phase")],
    fields: ["status.phase"],
    strategy: NAMESPACE,
    verbs: ALL_VERBS.filter((verb) => verb !== "deletecollection"),
  },
  {
    kind: "Service",
    plural: "services",
    short: ["svc"],
    categories: ["all"],
    hasStatus: true,
    columns: [
      field("Type", "spec.type"),
      column("Cluster-IP", (o) => digString(o, "spec", "clusterIP") ?? "<none>"),
      column("External-IP", (o) => digString(o, "spec", "externalName") ?? "<none>"),
      column("Port(s)", servicePorts),
      AGE,
      column("Selector", (o) => pairs(digObject(o, "spec", "selector")), 1),
    ],
    fields: ["spec.clusterIP", "spec.type"],
    strategy: SERVICE,
  },
  {
    kind: "Endpoints",
    plural: "endpoints",
    short: ["ep"],
    columns: [
      column("Endpoints", (o) => {
        const found = digArray(o, "subsets").flatMap((subset) =>
          digArray(subset, "addresses").flatMap((address) =>
            digArray(subset, "ports").map((port) => `${own(address, "ip")}:${own(port, "port")}`),
          ),
        );
        const more = found.length > 3 ? ` + ${found.length - 3} more...` : "";
        return found.length === 0 ? "<none>" : found.slice(0, 3).join(",") + more;
      }),
    ],
  },
  {
    kind: "Pod",
    plural: "pods",
    short: ["po"],
    categories: ["all"],
    hasStatus: true,
    columns: [
      column("Ready", podReady),
      column("Status", podStatus),
      column("Restarts", podRestarts),
      AGE,
      column("IP", (o) => digString(o, "status", "podIP") ?? "<none>", 1),
      column("Node", (o) => digString(o, "spec", "nodeName") ?? "<none>", 1),
    ],
    fields: [
      "spec.nodeName",
      "spec.restartPolicy",
      "spec.schedulerName",
      "spec.serviceAccountName",
      "status.phase",
      "status.podIP",
    ],
    strategy: POD,
  },
  {
    kind: "Node",
    plural: "nodes",
    short: ["no"],
    scope: "Cluster",
    hasStatus: true,
    columns: [
      column("Status", nodeStatus),
      column("Roles", (o) => {
        const labels = Object.keys(digObject(o, "metadata", "labels") ?? {});
        const lead = "node-role.kubernetes.io/";
        const roles = labels.filter((label) => label.startsWith(lead));
        return roles.map((label) => label.slice(lead.length)).join(",") || "<none>";
      }),
      AGE,
      field("Version", "status.nodeInfo.kubeletVersion"),
    ],
    fields: ["spec.unschedulable"],
    strategy: { ...PLAIN, keepsInitialStatus: true },
  },
  {
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    short: ["sa"],
    columns: [countOf("Secrets", "secrets")],
    strategy: SERVICE_ACCOUNT,
  },
  {
    kind: "ConfigMap",
    plural: "configmaps",
    short: ["cm"],
    columns: [
      column(
        "Data",
        (o) =>
          Object.keys(digObject(o, "data") ?? {}).length +
          Object.keys(digObject(o, "binaryData") ?? {}).length,
      ),
    ],
    strategy: CONFIG_MAP,
  },
  {
    kind: "Secret",
    plural: "secrets",
    columns: [field("Type", "type"), countOf("Data", "data")],
    fields: ["type"],
    strategy: SECRET,
  },
  {
    kind: "Event",
    plural: "events",
    short: ["ev"],
    columns: [
      column("Last Seen", (o, now) =>
        ageOf(
          digString(o, "series", "lastObservedTime") ??
            digString(o, "lastTimestamp") ??
            digString(o, "eventTime"),
          now,
        ),
      ),
      field("Type", "type"),
      field("Reason", "reason"),
      column("Object", (o) => {
        const kind = digString(o, "involvedObject", "kind") ?? "";
        return `${kind.toLowerCase()}/${digString(o, "involvedObject", "name") ?? ""}`;
      }),
      column("Message", (o) => digString(o, "message")?.trim()),
    ],
    fields: [
      "involvedObject.kind",
      "involvedObject.namespace",
      "involvedObject.name",
      "involvedObject.uid",
      "involvedObject.apiVersion",
      "involvedObject.resourceVersion",
      "involvedObject.fieldPath",
      "reason",
      "reportingComponent",
      "type",
    ],
    readers: new Map<string, FieldReader>([
      [
        "source",
        (o) => digString(o, "source", "component") ?? digString(o, "reportingComponent") ?? "",
      ],
    ]),
    strategy: { ...PLAIN, names: "path-segment" },
  },
  {
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    columns: [
      field("AddressType", "addressType"),
      column(
        "Ports",
        (o) =>
          digArray(o, "ports")
            .map((p) => own(p, "port"))
            .join(",") || "<unset>",
      ),
      column("Endpoints", (o) => {
        const found = digArray(o, "endpoints").flatMap((one) => digArray(one, "addresses"));
        const more = found.length > 3 ? ` + ${found.length - 3} more...` : "";
        return found.length === 0 ? "<unset>" : found.slice(0, 3).join(",") + more;
      }),
    ],
    strategy: GENERATED,
  },
  {
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    columns: [field("Holder", "spec.holderIdentity")],
  },
  {
    group: "apps",
    kind: "ReplicaSet",
    plural: "replicasets",
    short: ["rs"],
    categories: ["all"],
    hasStatus: true,
    scale: SCALE,
    columns: [
      replicas("spec.replicas", "Desired"),
      replicas("status.replicas", "Current"),
      replicas("status.readyReplicas", "Ready"),
    ],
    fields: ["status.replicas"],
    strategy: WORKLOAD,
  },
  {
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    short: ["deploy"],
    categories: ["all"],
    hasStatus: true,
    scale: SCALE,
    columns: [
      column(
        "Ready",
        (o) => `${number(o, "status", "readyReplicas")}/${number(o, "spec", "replicas")}`,
      ),
      replicas("status.updatedReplicas", "Up-to-date"),
      replicas("status.availableReplicas", "Available"),
    ],
    strategy: WORKLOAD,
  },
  {
    group: "apps",
    kind: "StatefulSet",
    plural: "statefulsets",
    short: ["sts"],
    categories: ["all"],
    hasStatus: true,
    scale: SCALE,
    columns: [
      column(
        "Ready",
        (o) => `${number(o, "status", "readyReplicas")}/${number(o, "spec", "replicas")}`,
      ),
    ],
    strategy: WORKLOAD,
  },
  {
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    short: ["ds"],
    categories: ["all"],
    hasStatus: true,
    columns: [
      replicas("status.desiredNumberScheduled", "Desired"),
      replicas("status.currentNumberScheduled", "Current"),
      replicas("status.numberReady", "Ready"),
    ],
    strategy: WORKLOAD,
  },
  {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    categories: ["all"],
    hasStatus: true,
    columns: [
      column(
        "Completions",
        (o) => `${number(o, "status", "succeeded")}/${number(o, "spec", "completions") || 1}`,
      ),
    ],
    strategy: { ...GENERATED, normalize: defaultWorkload },
  },
  {
    group: "batch",
    kind: "CronJob",
    plural: "cronjobs",
    short: ["cj"],
    categories: ["all"],
    hasStatus: true,
    columns: [
      field("Schedule", "spec.schedule"),
      field("Suspend", "spec.suspend"),
      countOf("Active", "status.active"),
    ],
    strategy: { ...GENERATED, normalize: defaultCronJob },
  },
  {
    group: "policy",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    short: ["pdb"],
    hasStatus: true,
    columns: [
      field("Min Available", "spec.minAvailable"),
      field("Max Unavailable", "spec.maxUnavailable"),
    ],
    strategy: GENERATED,
  },
  {
    group: "rbac.authorization.k8s.io",
    kind: "Role",
    plural: "roles",
    strategy: ROLE,
  },
  {
    group: "rbac.authorization.k8s.io",
    kind: "RoleBinding",
    plural: "rolebindings",
    columns: [column("Role", roleOf)],
    strategy: ROLE_BINDING,
  },
  {
    group: "rbac.authorization.k8s.io",
    kind: "ClusterRole",
    plural: "clusterroles",
    scope: "Cluster",
    strategy: ROLE,
  },
  {
    group: "rbac.authorization.k8s.io",
    kind: "ClusterRoleBinding",
    plural: "clusterrolebindings",
    scope: "Cluster",
    columns: [column("Role", roleOf)],
    strategy: ROLE_BINDING,
  },
  {
    group: "admissionregistration.k8s.io",
    kind: "MutatingWebhookConfiguration",
    plural: "mutatingwebhookconfigurations",
    scope: "Cluster",
    columns: [countOf("Webhooks", "webhooks")],
    strategy: WEBHOOKS,
  },
  {
    group: "admissionregistration.k8s.io",
    kind: "ValidatingWebhookConfiguration",
    plural: "validatingwebhookconfigurations",
    scope: "Cluster",
    columns: [countOf("Webhooks", "webhooks")],
    strategy: WEBHOOKS,
  },
  {
    group: "apiextensions.k8s.io",
    kind: "CustomResourceDefinition",
    plural: "customresourcedefinitions",
    short: ["crd", "crds"],
    categories: ["api-extensions"],
    scope: "Cluster",
    hasStatus: true,
    columns: [column("Created At", (o) => digString(o, "metadata", "creationTimestamp"))],
    strategy: CRD,
  },
  {
    group: "authentication.k8s.io",
    kind: "TokenReview",
    plural: "tokenreviews",
    scope: "Cluster",
    verbs: CREATE_ONLY,
  },
  {
    group: "authentication.k8s.io",
    kind: "SelfSubjectReview",
    plural: "selfsubjectreviews",
    scope: "Cluster",
    verbs: CREATE_ONLY,
  },
  {
    group: "authorization.k8s.io",
    kind: "SubjectAccessReview",
    plural: "subjectaccessreviews",
    scope: "Cluster",
    verbs: CREATE_ONLY,
  },
  {
    group: "authorization.k8s.io",
    kind: "SelfSubjectAccessReview",
    plural: "selfsubjectaccessreviews",
    scope: "Cluster",
    verbs: CREATE_ONLY,
  },
  {
    group: "authorization.k8s.io",
    kind: "SelfSubjectRulesReview",
    plural: "selfsubjectrulesreviews",
    scope: "Cluster",
    verbs: CREATE_ONLY,
  },
  {
    group: "authorization.k8s.io",
    kind: "LocalSubjectAccessReview",
    plural: "localsubjectaccessreviews",
    verbs: CREATE_ONLY,
  },
];

function roleOf(object: JsonObject): string {
  return `${digString(object, "roleRef", "kind")}/${digString(object, "roleRef", "name")}`;
}

/** The events of `events.k8s.io` are those of the core group under other names of fields. */
const NEW_EVENTS: Row = {
  group: "events.k8s.io",
  kind: "Event",
  plural: "events",
  short: ["ev"],
  columns: ROWS.find(({ plural }) => plural === "events")!.columns!,
  fields: ["reason", "type"],
  readers: new Map<string, FieldReader>(
    ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map(
      (key) => [`regarding.${key}`, (o: JsonObject) => digString(o, "involvedObject", key) ?? ""],
    ),
  ),
  strategy: { ...PLAIN, names: "path-segment" },
};

export function builtInTypes(): ResourceType[] {
  const types = ROWS.map((row) => typeOf(row, builtInType(row.kind)));
  const events = typeOf(NEW_EVENTS, builtInType("EventsEvent"));
  const [view] = events.versions;
  types.push({
    ...events,
    key: "/events",
    storedVersion: "core",
    versions: [{ ...view!, toStored: eventToCore, fromStored: eventFromCore }],
  });
  return types;
}

function typeOf(row: Row, schema: VersionView["schema"]): ResourceType {
  const columns = row.columns ?? [];
  const view: VersionView = {
    version: row.version ?? "v1",
    schema,
    columns: [NAME, ...columns, ...(columns.includes(AGE) ? [] : [AGE])],
    hasStatus: row.hasStatus ?? false,
    scale: row.scale,
    fields: readersOf(row),
    deprecation: undefined,
  };
  const group = row.group ?? "";
  return {
    group,
    plural: row.plural,
    singular: row.kind.toLowerCase(),
    kind: row.kind,
    listKind: `${row.kind}List`,
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    isNamespaced: row.scope !== "Cluster",
    isCustom: false,
    key: `${group}/${row.plural}`,
    versions: [view],
    storedVersion: view.version,
    verbs: row.verbs ?? ALL_VERBS,
    strategy: row.strategy ?? PLAIN,
  };
}

function readersOf({ fields = [], readers = new Map() }: Row): FieldReaders {
  const made = new Map<string, FieldReader>(readers);
  for (const path of fields) {
    const keys = path.split(".");
    made.set(path, (object) => {
      const parent = keys.slice(0, -1);
      const found = own(parent.length === 0 ? object : digObject(object, ...parent), keys.at(-1)!);
      return found === undefined || found === null ? "" : String(found);
    });
  }
  return made;
}
