import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { Registry } from "@heddle/apiserver/kinds/registry";
import {
  ALL_VERBS,
  apiVersionOf,
  type ResourceType,
  type VersionView,
} from "@heddle/apiserver/kinds/resource-type";

/** Which API this server speaks; `kubectl version` compares it with its own. */
export const KUBERNETES_VERSION = "v1.37.2";

export function versionInfo(): JsonObject {
  return {
    major: "1",
    minor: "37",
    gitVersion: `${KUBERNETES_VERSION}+heddle`,
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "",
    compiler: "node",
    platform: `${process.platform}/${process.arch}`,
  };
}

/** `/api`: the versions of the core group. */
export function coreVersions(address: string): JsonObject {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
  };
}

/** `/apis`: all groups but the core one. */
export function groupList(registry: Registry): JsonObject {
  const groups = [...registry.groups()].filter(([group]) => group !== "");
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: groups.map(([group, versions]) => describeGroup(group, versions)),
  };
}

/** `/apis/GROUP`; undefined if there is no such group. */
export function groupInfo(registry: Registry, group: string): JsonObject | undefined {
  const versions = registry.groups().get(group);
  if (versions === undefined || group === "") return undefined;
  return { kind: "APIGroup", apiVersion: "v1", ...describeGroup(group, versions) };
}

function describeGroup(group: string, versions: readonly string[]): JsonObject {
  const all = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: all, preferredVersion: all[0]! };
}

/** `/api/v1` and `/apis/GROUP/VERSION`; undefined if there is no such version. */
export function resourceList(
  registry: Registry,
  group: string,
  version: string,
): JsonObject | undefined {
  const resources: JsonObject[] = [];
  for (const { type, view } of viewsOf(registry, group, version)) {
    resources.push(...describeResource(type, view));
  }
  if (resources.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf(group, version),
    resources,
  };
}

export function* viewsOf(
  registry: Registry,
  group: string,
  version: string,
): Iterable<{ readonly type: ResourceType; readonly view: VersionView }> {
  for (const type of registry.all()) {
    if (type.group !== group) continue;
    const view = type.versions.find((one) => one.version === version);
    if (view !== undefined) yield { type, view };
  }
}

function describeResource(type: ResourceType, view: VersionView): JsonObject[] {
  const { plural, singular, isNamespaced: namespaced, kind, shortNames, categories } = type;
  const main: JsonObject = {
    name: plural,
    singularName: singular,
    namespaced,
    kind,
    verbs: [...type.verbs],
    ...(shortNames.length === 0 ? {} : { shortNames: [...shortNames] }),
    ...(categories.length === 0 ? {} : { categories: [...categories] }),
  };
  const below = subresourcesOf(type, view).map(({ name, kind: of, group, version, verbs }) => ({
    name: `${plural}/${name}`,
    singularName: "",
    namespaced,
    ...(group === undefined ? {} : { group, version: version! }),
    kind: of,
    verbs: [...verbs],
  }));
  return [main, ...below];
}

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

/** What stands below the objects of a resource. */
function subresourcesOf(type: ResourceType, view: VersionView): Subresource[] {
  const found: Subresource[] = [];
  if (view.hasStatus) {
    found.push({ name: "status", kind: type.kind, verbs: ["get", "patch", "update"] });
  }
  if (view.scale !== undefined) {
    found.push({
      name: "scale",
      kind: "Scale",
      group: "autoscaling",
      version: "v1",
      verbs: ["get", "patch", "update"],
    });
  }
  if (type.key === "/serviceaccounts") {
    found.push({
      name: "token",
      kind: "TokenRequest",
      group: "authentication.k8s.io",
      version: "v1",
      verbs: ["create"],
    });
  }
  if (type.key === "/namespaces") {
    found.push({ name: "finalize", kind: "Namespace", verbs: ["update"] });
  }
  return found;
}

/** `/api` and `/apis` in the aggregated form, which tells everything in one answer. */
export function aggregated(registry: Registry, isCore: boolean): JsonObject {
  const items: Json[] = [];
  for (const [group, versions] of registry.groups()) {
    if ((group === "") !== isCore) continue;
    items.push({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: "Current",
        resources: [...viewsOf(registry, group, version)].map(aggregatedResource),
      })),
    });
  }
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items,
  };
}

function aggregatedResource({
  type,
  view,
}: {
  readonly type: ResourceType;
  readonly view: VersionView;
}): JsonObject {
  const kindOf = (kind: string, group = type.group, version = view.version): JsonObject => ({
    group,
    version,
    kind,
  });
  const below = subresourcesOf(type, view).map(({ name, kind, group, version, verbs }) => ({
    subresource: name,
    responseKind: kindOf(kind, group, version),
    verbs: [...verbs],
  }));
  return {
    resource: type.plural,
    responseKind: kindOf(type.kind),
    scope: type.isNamespaced ? "Namespaced" : "Cluster",
    singularResource: type.singular,
    verbs: type.verbs.length === 0 ? [...ALL_VERBS] : [...type.verbs],
    ...(type.shortNames.length === 0 ? {} : { shortNames: [...type.shortNames] }),
    ...(type.categories.length === 0 ? {} : { categories: [...type.categories] }),
    ...(below.length === 0 ? {} : { subresources: below }),
  };
}
