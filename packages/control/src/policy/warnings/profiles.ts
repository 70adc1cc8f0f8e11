import { SERVICES } from "@heddle/kube/types/core";
import type { RequestMatchSpec, ServiceProfile } from "@heddle/kube/types/linkerd";
import { GATEWAY_HTTP_ROUTES, POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import { type ProfileRules, parseProfileRules } from "../../destination/profile-rules.ts";
import { goesFirst, mergesRoutes } from "../../route-merge.ts";
import type { Annotations } from "../annotations.ts";
import { mergeRoutes } from "../outbound/merge.ts";
import { PatternBudget } from "../pattern-budget.ts";
import { refersTo } from "../refs.ts";
import type { Subject, Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";

type Spec = ServiceProfile["spec"];

/** Annotations of a Service that say nothing where a profile goes first. */
export function shadowedIn(annotations: Annotations): string[] {
  return Object.keys(annotations).filter((key) =>
    /^(retry|timeout|balancer|balancer\.alpha)\.linkerd\.io\//.test(key),
  );
}

/** Warns of a Service that is not there, of what the profile shadows, and of patterns. */
export async function warnOfProfile(
  spec: Spec,
  subject: Subject,
  clusterDomain: string,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  warnOfPatterns(spec, warn);
  const suffix = `.svc.${clusterDomain}`;
  if (!subject.name.endsWith(suffix)) return;
  const [name, namespace, ...rest] = subject.name.slice(0, -suffix.length).split(".");
  if (!name || !namespace || rest.length > 0) return;
  const service = await around.find(SERVICES, namespace, name);
  if (service === undefined) {
    warn(`metadata.name: Service ${name} is not in ${namespace} yet`);
    return;
  }
  if (mergesRoutes(service.metadata.annotations)) {
    warnOfVoidRoutes(spec, warn);
    return;
  }
  if (!goesFirst(spec)) return;
  const shadowed = shadowedIn(service.metadata.annotations ?? {});
  if (shadowed.length > 0) {
    const list = shadowed.join(", ");
    warn(`metadata.name: the profile goes before annotations of Service ${name}: ${list}`);
  }
  for (const resource of [POLICY_HTTP_ROUTES, GATEWAY_HTTP_ROUTES]) {
    for (const route of await around.list(resource, namespace)) {
      const isOn = (route.spec.parentRefs ?? []).some(
        (ref) =>
          refersTo(ref, "core", "Service") &&
          ref.name === name &&
          (ref.namespace ?? namespace) === namespace,
      );
      if (!isOn) continue;
      warn(
        `metadata.name: the profile goes before HTTPRoute ${route.metadata.name} of the Service`,
      );
    }
  }
}

/** Of what no route can say, where profile and routes are merged. */
function warnOfVoidRoutes(spec: Spec, warn: Warn): void {
  let rules: ProfileRules;
  try {
    rules = parseProfileRules(spec);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    warn(`spec: ${error.message}: the profile is not used`);
    return;
  }
  const everything = { matches: [], filters: [], forbidden: false, allowL5dRequestHeaders: false };
  const rule = {
    ...everything,
    distribution: { kind: "empty" } as const,
    timeouts: undefined,
    retry: undefined,
  };
  const meta = { kind: "default", name: "http" } as const;
  mergeRoutes([{ meta, hosts: [], rules: [rule] }], rules.routes, {
    namespace: "",
    onVoid: (route, problem) => warn(`spec.routes: ${route} cannot be merged: ${problem}`),
  });
}

function warnOfPatterns(spec: Spec, warn: Warn): void {
  const patterns = new PatternBudget();
  for (const [index, { condition }] of (spec?.routes ?? []).entries()) {
    for (const pattern of patternsOf(condition)) {
      try {
        patterns.spend(pattern);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        warn(`spec.routes[${index}].condition: ${error.message}`);
        // One is enough to look at: there may be thousands, each as large as a pattern can be.
        return;
      }
    }
  }
}

/** Of a condition that is held to a depth. */
function* patternsOf(match: RequestMatchSpec): IterableIterator<string> {
  if (match.pathRegex) yield match.pathRegex;
  for (const child of [...(match.all ?? []), ...(match.any ?? [])]) yield* patternsOf(child);
  if (match.not) yield* patternsOf(match.not);
}
