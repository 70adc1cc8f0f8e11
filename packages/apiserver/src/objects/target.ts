import type { ResourceType, VersionView } from "@heddle/apiserver/kinds/resource-type";

/** A resource, seen through one version, and the namespace of the request's path. */
export interface Target {
  readonly type: ResourceType;
  readonly view: VersionView;
  /** Empty for resources without namespaces. */
  readonly namespace: string;
}

/** What part of an object a write is about. */
export type Part = "object" | "status" | "finalize";
