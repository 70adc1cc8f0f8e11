/** Which fields of a Gateway API route we read. A list is known by what its entries have. */
interface Known {
  readonly [field: string]: Known | true;
}

const NAMED_VALUE: Known = { type: true, name: true, value: true };
const HEADERS: Known = { add: NAMED_VALUE, set: NAMED_VALUE, remove: true };
/** Filters that we do not have are refused by their type, not by their fields. */
const FILTER: Known = {
  type: true,
  requestHeaderModifier: HEADERS,
  responseHeaderModifier: HEADERS,
  requestRedirect: {
    scheme: true,
    hostname: true,
    port: true,
    statusCode: true,
    path: { type: true, replaceFullPath: true, replacePrefixMatch: true },
  },
  requestMirror: true,
  urlRewrite: true,
  extensionRef: true,
};
const PARENT_REF: Known = {
  group: true,
  kind: true,
  namespace: true,
  name: true,
  sectionName: true,
  port: true,
};
const BACKEND_REF: Known = {
  group: true,
  kind: true,
  namespace: true,
  name: true,
  port: true,
  weight: true,
  filters: FILTER,
};

const HTTP = specOf({
  name: true,
  filters: FILTER,
  timeouts: { request: true, backendRequest: true },
  matches: {
    path: { type: true, value: true },
    headers: NAMED_VALUE,
    queryParams: NAMED_VALUE,
    method: true,
  },
});
const GRPC = specOf({
  name: true,
  filters: FILTER,
  matches: { method: { type: true, service: true, method: true }, headers: NAMED_VALUE },
});
const STREAM = specOf({ name: true });

const BY_KIND: ReadonlyMap<string, Known> = new Map([
  ["HTTPRoute", HTTP],
  ["GRPCRoute", GRPC],
  ["TLSRoute", STREAM],
  ["TCPRoute", STREAM],
]);

/** So many are told. */
const MAX_PATHS = 8;

/**
 * Fields of a route that we do not read, newer than we are perhaps: they are void, the route is
 * not. Only that a later version's field changes what the others mean cannot be seen here.
 */
export function ignoredFields(kind: string, spec: unknown): string[] {
  const paths: string[] = [];
  const known = BY_KIND.get(kind);
  if (known !== undefined) collect(spec, known, "spec", paths);
  return paths;
}

function specOf(rule: Known): Known {
  return { parentRefs: PARENT_REF, hostnames: true, rules: { ...rule, backendRefs: BACKEND_REF } };
}

function collect(value: unknown, known: Known, path: string, paths: string[]): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) collect(one, known, `${path}[${index}]`, paths);
    return;
  }
  for (const [key, field] of Object.entries(value)) {
    if (paths.length >= MAX_PATHS) return;
    const inner = Object.hasOwn(known, key) ? known[key] : undefined;
    if (inner === undefined) paths.push(`${path}.${key.slice(0, 64)}`);
    else if (inner !== true) collect(field, inner, `${path}.${key}`, paths);
  }
}
