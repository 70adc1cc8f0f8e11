/** Makes the JSON schema of the control plane's chart from its values and from what they do not say. */
import { join } from "node:path";
import { chartValues } from "@heddle/cli/helm/chart";

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
}

/** Where the chart keeps it. */
export const SCHEMA_PATH: string = join(
  import.meta.dirname,
  "..",
  "charts",
  "heddle-control-plane",
  "values.schema.json",
);

const TEXT: Schema = { type: ["string", "number"] };
const ANY_MAP: Schema = { type: "object" };
const COUNT: Schema = { type: "integer", minimum: 0 };
const PORT: Schema = { type: "integer", minimum: 1, maximum: 65_535 };
const USER: Schema = { type: "integer", minimum: 1 };
const GROUP: Schema = { type: "integer", minimum: -1 };
const FORMATS: Schema = { enum: ["plain", "json"] };
const PULL_POLICY: Schema = { enum: ["", "Always", "IfNotPresent", "Never"] };
const RESOURCE: Schema = closed({ limit: TEXT, request: TEXT });
const RESOURCES: Schema = closed({
  cpu: RESOURCE,
  memory: RESOURCE,
  "ephemeral-storage": RESOURCE,
});

/** What a default does not tell, or tells too narrowly; `*` is one key. */
const SAID: readonly (readonly [path: string, schema: Schema])[] = [
  ["controllerLogLevel", { enum: ["panic", "fatal", "error", "warn", "info", "debug", "trace"] }],
  ["controllerLogFormat", FORMATS],
  ["controllerReplicas", { type: "integer", minimum: 1 }],
  ["controllerUID", USER],
  ["controllerGID", GROUP],
  ["revisionHistoryLimit", COUNT],
  ["imagePullPolicy", { enum: ["Always", "IfNotPresent", "Never"] }],
  ["webhookFailurePolicy", { enum: ["Ignore", "Fail"] }],
  ["controller.podDisruptionBudget.maxUnavailable", { type: ["integer", "string"] }],
  ["deploymentStrategy", ANY_MAP],
  ["nodeSelector", ANY_MAP],
  ["destinationController.meshedHttp2ClientProtobuf", ANY_MAP],
  ...["destination", "identity", "proxyInjector"].map(
    (part) => [`${part}ProxyResources`, RESOURCES] as const,
  ),
  ...["controller", "destination", "identity", "proxyInjector", "spValidator", "heartbeat"].map(
    (part) => [`${part}Resources`, RESOURCES] as const,
  ),
  ["policyController.resources", RESOURCES],
  ["identity.issuer.scheme", { enum: ["linkerd.io/tls", "kubernetes.io/tls"] }],
  ...["proxyInjector", "profileValidator", "policyValidator"].flatMap((webhook) =>
    ["namespaceSelector", "objectSelector"].map((key) => [`${webhook}.${key}`, ANY_MAP] as const),
  ),
  ["proxyInjector.timeoutSeconds", { type: "integer", minimum: 1, maximum: 30 }],
  ["expansion.serviceType", { enum: ["LoadBalancer", "NodePort", "ClusterIP"] }],
  ["expansion.advertised", { type: "array", items: { type: "string" } }],
  ["policyController.probeNetworks", { type: "array", items: { type: "string" } }],
  ["proxy.image.pullPolicy", PULL_POLICY],
  ["debugContainer.image.pullPolicy", PULL_POLICY],
  ["proxy.logFormat", FORMATS],
  ["proxy.logHTTPHeaders", { enum: ["off", "insecure"] }],
  ["proxy.ports.*", PORT],
  ["proxy.uid", USER],
  ["proxy.gid", GROUP],
  ["proxy.waitBeforeExitSeconds", COUNT],
  ["proxy.runtime.workers.minimum", { type: "integer", minimum: 1 }],
  ["proxy.outboundTransportMode", { enum: ["transport-header", "transparent"] }],
  ["proxy.accessLog", { enum: ["", "apache", "json"] }],
  [
    "proxy.defaultInboundPolicy",
    {
      enum: [
        "all-authenticated",
        "all-unauthenticated",
        "cluster-authenticated",
        "cluster-unauthenticated",
        "deny",
        "audit",
      ],
    },
  ],
  ["proxy.tracing.labels", ANY_MAP],
  ["proxy.inbound", ANY_MAP],
  ["proxy.outbound", ANY_MAP],
  ["networkValidator.securityContext", ANY_MAP],
  ["proxyInit.iptablesMode", { enum: ["nft", "legacy", "plain"] }],
  ["proxyInit.closeWaitTimeoutSecs", COUNT],
  ["proxyInit.runAsUser", COUNT],
  ["proxyInit.runAsGroup", COUNT],
];

/** Values without a default. */
const UNSET: readonly (readonly [path: string, schema: Schema])[] = [
  ["global", ANY_MAP],
  ["cliVersion", { type: "string" }],
  ["heartbeat", ANY_MAP],
  ["profileValidator.objectSelector", ANY_MAP],
  ["policyValidator.objectSelector", ANY_MAP],
  ["proxy.cores", COUNT],
  ["proxy.runtime.workers.maximum", COUNT],
  ["proxy.runtime.workers.maximumCPURatio", { type: "number", minimum: 0, maximum: 1 }],
  ...["livenessProbe", "readinessProbe"].flatMap((probe) =>
    ["periodSeconds", "failureThreshold"].map((key) => [`proxy.${probe}.${key}`, COUNT] as const),
  ),
  ["proxy.startupProbe.timeoutSeconds", COUNT],
];

/** The schema as the chart's file holds it. */
export function controlPlaneSchema(): string {
  const values = chartValues("heddle-control-plane");
  const $schema = "http://json-schema.org/draft-07/schema#";
  return `${JSON.stringify({ $schema, ...schemaOf(values, "") }, null, 2)}\n`;
}

function schemaOf(value: unknown, path: string): Schema {
  const said = SAID.find(([pattern]) => fits(pattern, path));
  if (said !== undefined) return said[1];
  if (typeof value === "boolean") return { type: "boolean" };
  if (typeof value === "number") return { type: "number" };
  if (typeof value === "string") return TEXT;
  if (Array.isArray(value)) return { type: "array" };
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  // What has no keys of its own takes anybody's.
  if (entries.length === 0) return ANY_MAP;
  const below = (key: string): string => (path === "" ? key : `${path}.${key}`);
  const properties = Object.fromEntries(
    entries.map(([key, item]) => [key, schemaOf(item, below(key))]),
  );
  for (const [unset, schema] of UNSET) {
    const at = unset.lastIndexOf(".");
    if (unset.slice(0, Math.max(at, 0)) === path) properties[unset.slice(at + 1)] = schema;
  }
  return closed(properties);
}

function closed(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", properties, additionalProperties: false };
}

function fits(pattern: string, path: string): boolean {
  const parts = path.split(".");
  const wanted = pattern.split(".");
  return (
    parts.length === wanted.length && wanted.every((key, at) => key === "*" || key === parts[at])
  );
}
