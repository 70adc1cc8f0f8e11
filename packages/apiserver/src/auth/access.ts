/** What somebody wants to do to a resource. */
export interface ResourceAccess {
  readonly kind: "resource";
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, … */
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  /** Empty: all namespaces, or none. */
  readonly namespace: string;
  /** Empty: all names. */
  readonly name: string;
}

/** What somebody wants to read beside resources: `/version`, discovery, `/openapi/v3`. */
export interface PathAccess {
  readonly kind: "path";
  readonly verb: string;
  readonly path: string;
}

export type Access = ResourceAccess | PathAccess;

/** `"resource" in API group "" in the namespace "default"`: an access in words. */
export function describeAccess(access: Access): string {
  if (access.kind === "path") return `${access.verb} path "${access.path}"`;
  const { verb, group, resource, subresource, namespace } = access;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const what = subresource === "" ? resource : `${resource}/${subresource}`;
  return `${verb} resource "${what}" in API group "${group}" ${where}`;
}
