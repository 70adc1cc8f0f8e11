/** What a policy object is called, in metrics, logs and errors. */
export interface Meta {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly section: string;
  /** 0: none. */
  readonly port: number;
}

/** The name of an implicit configuration: `default`, `endpoint`, `all-unauthenticated`. */
export function defaultMeta(name: string): Meta {
  return { group: "", kind: "default", namespace: "", name, section: "", port: 0 };
}

/** `Service.default.web:80`, `default.http`. For people. */
export function formatMeta(meta: Meta): string {
  if (meta.kind === "default" && meta.group === "") return `default.${meta.name}`;
  const port = meta.port === 0 ? "" : `:${meta.port}`;
  const namespace = meta.namespace === "" ? "" : `${meta.namespace}.`;
  return `${meta.kind}.${namespace}${meta.name}${port}`;
}

/** Labels of a parent or a backend. */
export function portedLabels(prefix: "parent" | "backend", meta: Meta): Record<string, string> {
  return {
    [`${prefix}_group`]: meta.group,
    [`${prefix}_kind`]: meta.kind,
    [`${prefix}_namespace`]: meta.namespace,
    [`${prefix}_name`]: meta.name,
    [`${prefix}_port`]: meta.port === 0 ? "" : String(meta.port),
    [`${prefix}_section_name`]: meta.section,
  };
}

export function routeLabels(meta: Meta): Record<string, string> {
  return {
    route_group: meta.group,
    route_kind: meta.kind,
    route_namespace: meta.namespace,
    route_name: meta.name,
  };
}
