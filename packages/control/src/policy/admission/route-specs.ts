/** What the specs of routes look like, for those that read them from reviews. */
import type {
  BackendRef,
  GrpcMatch,
  HeaderModifier,
  HeaderValue,
  HttpMatch,
  ParentRef,
  RequestRedirect,
  Route,
  RouteFilter,
  RouteRule,
  RouteTimeouts,
  ValueMatch,
} from "@heddle/kube/types/routes";
import { fields, integer, listOf, oneOf, type Read, text } from "./shape.ts";

const portNumber = integer(0, 65_535);

const parentRef: Read<ParentRef> = fields({
  required: { name: text },
  optional: { group: text, kind: text, namespace: text, sectionName: text, port: portNumber },
});

const headers = listOf(
  fields<HeaderValue>({ required: { name: text, value: text }, optional: {} }),
);

const headerModifier: Read<HeaderModifier> = fields({
  required: {},
  optional: { add: headers, set: headers, remove: listOf(text) },
});

const redirect: Read<RequestRedirect> = fields({
  required: {},
  optional: {
    scheme: text,
    hostname: text,
    port: portNumber,
    statusCode: integer(100, 999),
    path: fields<NonNullable<RequestRedirect["path"]>>({
      required: { type: oneOf("ReplaceFullPath", "ReplacePrefixMatch") },
      optional: { replaceFullPath: text, replacePrefixMatch: text },
    }),
  },
});

const anyFilter: Read<RouteFilter> = fields<RouteFilter>({
  required: { type: text },
  optional: {
    requestHeaderModifier: headerModifier,
    responseHeaderModifier: headerModifier,
    requestRedirect: redirect,
  },
});

/** Where a filter of each type says what it does. */
const FILTER_FIELDS: ReadonlyMap<string, keyof RouteFilter> = new Map([
  ["RequestHeaderModifier", "requestHeaderModifier"],
  ["ResponseHeaderModifier", "responseHeaderModifier"],
  ["RequestRedirect", "requestRedirect"],
]);

const filters: Read<readonly RouteFilter[]> = listOf((value, path) => {
  const filter = anyFilter(value, path);
  const field = FILTER_FIELDS.get(filter.type);
  if (field === undefined || filter[field] !== undefined) return filter;
  throw new SyntaxError(`${path}.${field}: is missing: a ${filter.type} says there what it does`);
});

const backendRef: Read<BackendRef> = fields({
  required: { name: text },
  optional: {
    group: text,
    kind: text,
    namespace: text,
    port: portNumber,
    weight: integer(0, 1_000_000),
    filters,
  },
});

const values = listOf(
  fields<ValueMatch>({
    required: { name: text, value: text },
    optional: { type: oneOf("Exact", "RegularExpression") },
  }),
);

const httpMatch: Read<HttpMatch> = fields({
  required: {},
  optional: {
    path: fields<NonNullable<HttpMatch["path"]>>({
      required: {},
      optional: { type: oneOf("Exact", "PathPrefix", "RegularExpression"), value: text },
    }),
    headers: values,
    queryParams: values,
    method: text,
  },
});

const grpcMatch: Read<GrpcMatch> = fields({
  required: {},
  optional: {
    method: fields<NonNullable<GrpcMatch["method"]>>({
      required: {},
      optional: { type: oneOf("Exact", "RegularExpression"), service: text, method: text },
    }),
    headers: values,
  },
});

const anything: Read<unknown> = (value) => value;

export const httpRouteSpec: Read<Route<HttpMatch>["spec"]> = routeSpec(httpMatch);
export const grpcRouteSpec: Read<Route<GrpcMatch>["spec"]> = routeSpec(grpcMatch);
export const streamRouteSpec: Read<Route<unknown>["spec"]> = routeSpec(anything);

function routeSpec<M>(match: Read<M>): Read<Route<M>["spec"]> {
  const rule: Read<RouteRule<M>> = fields<RouteRule<M>>({
    required: {},
    optional: {
      name: text,
      matches: listOf(match),
      filters,
      backendRefs: listOf(backendRef),
      timeouts: fields<RouteTimeouts>({
        required: {},
        optional: { request: text, backendRequest: text },
      }),
    },
  });
  return fields<Route<M>["spec"]>({
    required: {},
    optional: { parentRefs: listOf(parentRef), hostnames: listOf(text), rules: listOf(rule) },
  });
}
