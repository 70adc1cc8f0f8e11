import { SERVICES, type Service } from "@heddle/kube/types/core";
import { EGRESS_NETWORKS, SERVERS, SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import type { ParentRef, Route } from "@heddle/kube/types/routes";
import { parseIp } from "@heddle/model/network";
import { goesFirst, mergesRoutes } from "../../route-merge.ts";
import { POLICY_GROUP, refersTo } from "../refs.ts";
import { filterOf } from "../route-spec.ts";
import type { Subject, Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";

/** Warns of parents that are not there, cannot be parents, or let a ServiceProfile go first. */
export async function warnOfRoute(
  spec: Route<unknown>["spec"],
  subject: Subject,
  clusterDomain: string,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  warnOfFilters(spec, warn);
  const { parentRefs = [] } = spec;
  if (parentRefs.length === 0) {
    warn("spec.parentRefs: is empty: name the Server, Service or EgressNetwork that it is for");
  }
  for (const [index, ref] of parentRefs.entries()) {
    const path = `spec.parentRefs[${index}]`;
    const namespace = ref.namespace ?? subject.namespace;
    // Other kinds are other controllers' parents.
    if (refersTo(ref, POLICY_GROUP, "Server")) {
      await warnOfServer(ref, path, namespace, subject, around, warn);
    } else if (refersTo(ref, "core", "Service")) {
      await warnOfService(ref, path, namespace, around, warn);
      await warnOfProfile(ref.name, path, { namespace, subject, clusterDomain }, around, warn);
    } else if (refersTo(ref, POLICY_GROUP, "EgressNetwork")) {
      if ((await around.find(EGRESS_NETWORKS, namespace, ref.name)) !== undefined) continue;
      warn(`${path}: EgressNetwork ${ref.name} is not in ${namespace} yet`);
    }
  }
}

/** Those that validators let through, as Linkerd does: a later version may have them. */
function warnOfFilters({ rules = [] }: Route<unknown>["spec"], warn: Warn): void {
  for (const [rule, { filters = [] }] of rules.entries()) {
    for (const [at, filter] of filters.entries()) {
      try {
        filterOf(filter);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        warn(`spec.rules[${rule}].filters[${at}]: ${error.message}: the route is not used`);
      }
    }
  }
}

async function warnOfServer(
  ref: ParentRef,
  path: string,
  namespace: string,
  subject: Subject,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  if (namespace !== subject.namespace) {
    warn(`${path}.namespace: a Server takes routes of its own namespace only: the route is void`);
  } else if (ref.port !== undefined || ref.sectionName !== undefined) {
    const field = ref.port === undefined ? "sectionName" : "port";
    warn(`${path}.${field}: a Server has none: the route is void until the field is removed`);
  } else if ((await around.find(SERVERS, namespace, ref.name)) === undefined) {
    warn(`${path}: Server ${ref.name} is not in ${namespace} yet`);
  }
}

async function warnOfService(
  { name, port }: ParentRef,
  path: string,
  namespace: string,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  const service = await around.find(SERVICES, namespace, name);
  if (service === undefined) warn(`${path}: Service ${name} is not in ${namespace} yet`);
  else if (!hasClusterIp(service)) {
    warn(`${path}: Service ${name} has no cluster IP, which a parent needs: the route is void`);
  } else if (port !== undefined && !(service.spec?.ports ?? []).some((one) => one.port === port)) {
    warn(`${path}.port: Service ${name} has no port ${port}`);
  }
}

async function warnOfProfile(
  service: string,
  path: string,
  at: { readonly namespace: string; readonly subject: Subject; readonly clusterDomain: string },
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  const parent = await around.find(SERVICES, at.namespace, service);
  if (mergesRoutes(parent?.metadata.annotations)) return;
  const name = `${service}.${at.namespace}.svc.${at.clusterDomain}`;
  // A client's own namespace may have a profile too, for its clients.
  for (const namespace of new Set([at.namespace, at.subject.namespace])) {
    const profile = await around.find(SERVICE_PROFILES, namespace, name);
    if (profile === undefined || !goesFirst(profile.spec)) continue;
    const what = `goes before routes and their annotations: delete it to use them`;
    warn(`${path}: the ServiceProfile ${name} in ${namespace} ${what}`);
  }
}

function hasClusterIp({ spec }: Service): boolean {
  return spec?.type !== "ExternalName" && parseIp(spec?.clusterIP ?? "") !== undefined;
}
