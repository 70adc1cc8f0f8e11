import type { CustomResourceDefinition } from "@heddle/kube/types/core";
import { AGE, type Column, definition, version } from "./definition.ts";
import {
  bounded,
  CONDITION_TYPE,
  CONTROLLER_NAME,
  GEP_DURATION,
  GROUP,
  HEADER_NAME,
  HOSTNAME,
  integer,
  KIND,
  LABEL,
  list,
  mapList,
  object,
  oneOfTexts,
  portNumber,
  REASON,
  root,
  type Schema,
  SUBDOMAIN,
  text,
  timestamp,
} from "./schema.ts";

const POLICY = "policy.linkerd.io";
const GATEWAY = "gateway.networking.k8s.io";
const HOSTNAMES: Column = { name: "Hostnames", jsonPath: ".spec.hostnames" };
const ROOT_PATH = { type: "PathPrefix", value: "/" };
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

export function policyHttpRoutes(): CustomResourceDefinition {
  const latest = policyHttpSpec({
    backendRefs: backendRefs(policyBackendFilters()),
    timeouts: true,
  });
  const before = policyHttpSpec({ backendRefs: backendRefs(policyBackendFilters()) });
  const oldBackends = list(
    object({
      "name*": bounded(1, 253),
      port: portNumber(),
      namespace: bounded(1, 63, LABEL, { default: "default" }),
    }),
    { maxItems: 16 },
  );
  const oldest = policyHttpSpec({ backendRefs: oldBackends });
  const columns = [HOSTNAMES, AGE];
  const status = routeStatus(POLICY);
  return definition({
    group: POLICY,
    kind: "HTTPRoute",
    plural: "httproutes",
    versions: [
      version("v1alpha1", { schema: root(oldest, { status }), columns, hasStatus: true }),
      version("v1beta1", { schema: root(oldest, { status }), columns, hasStatus: true }),
      version("v1beta2", { schema: root(before, { status }), columns, hasStatus: true }),
      version("v1beta3", {
        schema: root(latest, { status }),
        columns,
        hasStatus: true,
        isStored: true,
      }),
    ],
  });
}

/** The Gateway API's own, without its CEL rules; for stores that do not have it. */
export function gatewayHttpRoutes(): CustomResourceDefinition {
  const spec = object({
    hostnames: hostnames(),
    parentRefs: parentRefs(GATEWAY),
    rules: list(
      object({
        name: bounded(1, 253, SUBDOMAIN),
        backendRefs: backendRefs(gatewayHttpFilters()),
        filters: gatewayHttpFilters(),
        matches: httpMatches(),
        timeouts: object({
          backendRequest: text({ pattern: GEP_DURATION }),
          request: text({ pattern: GEP_DURATION }),
        }),
      }),
      { maxItems: 16, default: [{ matches: [{ path: ROOT_PATH }] }] },
    ),
  });
  const schema = root(spec, { status: routeStatus(GATEWAY) });
  const columns = [HOSTNAMES, AGE];
  return definition({
    group: GATEWAY,
    kind: "HTTPRoute",
    plural: "httproutes",
    categories: ["gateway-api"],
    annotations: GATEWAY_ANNOTATIONS,
    versions: [
      version("v1", { schema, columns, hasStatus: true, isStored: true }),
      version("v1beta1", { schema, columns, hasStatus: true }),
    ],
  });
}

export function gatewayGrpcRoutes(): CustomResourceDefinition {
  const filters = filterList(
    ["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"],
    {
      extensionRef: extensionRef(),
      requestHeaderModifier: headerModifier(),
      requestMirror: requestMirror(),
      responseHeaderModifier: headerModifier(),
    },
  );
  const method = object({
    method: bounded(0, 1_024),
    service: bounded(0, 1_024),
    type: oneOfTexts(["Exact", "RegularExpression"], { default: "Exact" }),
  });
  const spec = object({
    hostnames: hostnames(),
    parentRefs: parentRefs(GATEWAY),
    rules: list(
      object({
        name: bounded(1, 253, SUBDOMAIN),
        backendRefs: backendRefs(filters),
        filters,
        matches: list(object({ headers: headerMatches(), method }), { maxItems: 8 }),
      }),
      { maxItems: 16 },
    ),
  });
  const schema = root(spec, { isSpecOptional: true, status: routeStatus(GATEWAY) });
  const columns = [HOSTNAMES, AGE];
  return definition({
    group: GATEWAY,
    kind: "GRPCRoute",
    plural: "grpcroutes",
    categories: ["gateway-api"],
    annotations: GATEWAY_ANNOTATIONS,
    versions: [version("v1", { schema, columns, hasStatus: true, isStored: true })],
  });
}

export function gatewayTlsRoutes(): CustomResourceDefinition {
  return streamRoutes("TLSRoute", "tlsroutes", { hostnames: hostnames() });
}

export function gatewayTcpRoutes(): CustomResourceDefinition {
  return streamRoutes("TCPRoute", "tcproutes", {});
}

/** Routes of connections: their rules have backends and nothing else. */
function streamRoutes(
  kind: string,
  plural: string,
  more: Readonly<Record<string, Schema>>,
): CustomResourceDefinition {
  const rule = object({
    name: bounded(1, 253, SUBDOMAIN),
    backendRefs: list(object(backendRef()), { minItems: 1, maxItems: 16 }),
  });
  const spec = object({
    ...more,
    parentRefs: parentRefs(GATEWAY),
    "rules*": list(rule, { minItems: 1, maxItems: 16 }),
  });
  const schema = root(spec, { status: routeStatus(GATEWAY) });
  return definition({
    group: GATEWAY,
    kind,
    plural,
    categories: ["gateway-api"],
    annotations: GATEWAY_ANNOTATIONS,
    versions: [version("v1alpha2", { schema, columns: [AGE], hasStatus: true, isStored: true })],
  });
}

/** A real API server takes kinds of `k8s.io` groups only with the place where they were agreed on. */
const GATEWAY_ANNOTATIONS = {
  "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/2997",
  "gateway.networking.k8s.io/bundle-version": "v1.1.1",
  "gateway.networking.k8s.io/channel": "experimental",
};

function policyHttpSpec(options: { backendRefs: Schema; timeouts?: boolean }): Schema {
  const rule = object({
    backendRefs: options.backendRefs,
    filters: filterList(["RequestHeaderModifier", "RequestRedirect"], {
      requestHeaderModifier: headerModifier(),
      requestRedirect: requestRedirect(),
    }),
    matches: httpMatches(),
    ...(options.timeouts === true
      ? {
          timeouts: object({
            backendRequest: text({ format: "duration" }),
            request: text({ format: "duration" }),
          }),
        }
      : {}),
  });
  return object({
    hostnames: hostnames(),
    parentRefs: parentRefs(POLICY),
    rules: list(rule, { maxItems: 16, default: [{ matches: [{ path: ROOT_PATH }] }] }),
  });
}

function policyBackendFilters(): Schema {
  return filterList(["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"], {
    requestHeaderModifier: headerModifier(),
    requestRedirect: requestRedirect(),
    responseHeaderModifier: headerModifier(),
  });
}

function gatewayHttpFilters(): Schema {
  return filterList(
    [
      "RequestHeaderModifier",
      "ResponseHeaderModifier",
      "RequestMirror",
      "RequestRedirect",
      "URLRewrite",
      "ExtensionRef",
    ],
    {
      extensionRef: extensionRef(),
      requestHeaderModifier: headerModifier(),
      requestMirror: requestMirror(),
      requestRedirect: requestRedirect(),
      responseHeaderModifier: headerModifier(),
      urlRewrite: object({ hostname: bounded(1, 253, SUBDOMAIN), path: pathModifier() }),
    },
  );
}

function filterList(types: readonly string[], bodies: Readonly<Record<string, Schema>>): Schema {
  return list(object({ ...bodies, "type*": oneOfTexts(types) }), { maxItems: 16 });
}

function backendRefs(filters: Schema): Schema {
  return list(object({ ...backendRef(), filters }), { maxItems: 16 });
}

function backendRef(): Readonly<Record<string, Schema>> {
  return {
    group: bounded(0, 253, GROUP, { default: "" }),
    kind: bounded(1, 63, KIND, { default: "Service" }),
    "name*": bounded(1, 253),
    namespace: bounded(1, 63, LABEL),
    port: portNumber(),
    weight: integer("int32", { minimum: 0, maximum: 1_000_000, default: 1 }),
  };
}

function parentRef(group: string): Schema {
  return object({
    group: bounded(0, 253, GROUP, { default: group }),
    kind: bounded(1, 63, KIND, { default: "Gateway" }),
    "name*": bounded(1, 253),
    namespace: bounded(1, 63, LABEL),
    port: portNumber(),
    sectionName: bounded(1, 253, SUBDOMAIN),
  });
}

function parentRefs(group: string): Schema {
  return list(parentRef(group), { maxItems: 32 });
}

function hostnames(): Schema {
  return list(bounded(1, 253, HOSTNAME), { maxItems: 16 });
}

function httpMatches(): Schema {
  const path = object(
    {
      type: oneOfTexts(["Exact", "PathPrefix", "RegularExpression"], { default: "PathPrefix" }),
      value: bounded(0, 1_024, undefined, { default: "/" }),
    },
    { default: ROOT_PATH },
  );
  const queryParam = object({
    "name*": bounded(1, 256),
    type: oneOfTexts(["Exact", "RegularExpression"], { default: "Exact" }),
    "value*": bounded(1, 1_024),
  });
  return list(
    object({
      headers: headerMatches(),
      method: oneOfTexts(METHODS),
      path,
      queryParams: mapList(queryParam, "name", { maxItems: 16 }),
    }),
    { maxItems: 8, default: [{ path: ROOT_PATH }] },
  );
}

function headerMatches(): Schema {
  const match = object({
    "name*": bounded(1, 256, HEADER_NAME),
    type: oneOfTexts(["Exact", "RegularExpression"], { default: "Exact" }),
    "value*": bounded(1, 4_096),
  });
  return mapList(match, "name", { maxItems: 16 });
}

function headerModifier(): Schema {
  const header = object({ "name*": bounded(1, 256, HEADER_NAME), "value*": bounded(1, 4_096) });
  const headers = mapList(header, "name", { maxItems: 16 });
  return object({ add: headers, set: headers, remove: list(text(), { maxItems: 16 }) });
}

function requestRedirect(): Schema {
  return object({
    hostname: bounded(1, 253, SUBDOMAIN),
    path: pathModifier(),
    port: portNumber(),
    scheme: oneOfTexts(["http", "https"]),
    statusCode: { type: "integer", enum: [301, 302], default: 302 },
  });
}

function pathModifier(): Schema {
  return object({
    replaceFullPath: bounded(0, 1_024),
    replacePrefixMatch: bounded(0, 1_024),
    "type*": oneOfTexts(["ReplaceFullPath", "ReplacePrefixMatch"]),
  });
}

function extensionRef(): Schema {
  return object({
    "group*": bounded(0, 253, GROUP),
    "kind*": bounded(1, 63, KIND),
    "name*": bounded(1, 253),
  });
}

function requestMirror(): Schema {
  return object({
    "backendRef*": object({
      group: bounded(0, 253, GROUP, { default: "" }),
      kind: bounded(1, 63, KIND, { default: "Service" }),
      "name*": bounded(1, 253),
      namespace: bounded(1, 63, LABEL),
      port: portNumber(),
    }),
  });
}

function routeStatus(group: string): Schema {
  const condition = object({
    "lastTransitionTime*": timestamp(),
    "message*": bounded(0, 32_768),
    observedGeneration: integer("int64", { minimum: 0 }),
    "reason*": bounded(1, 1_024, REASON),
    "status*": oneOfTexts(["True", "False", "Unknown"]),
    "type*": bounded(0, 316, CONDITION_TYPE),
  });
  return object({
    "parents*": list(
      object({
        conditions: mapList(condition, "type", { minItems: 1, maxItems: 8 }),
        "controllerName*": bounded(1, 253, CONTROLLER_NAME),
        "parentRef*": parentRef(group),
      }),
      { maxItems: 32 },
    ),
  });
}
