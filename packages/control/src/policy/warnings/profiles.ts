import { SERVICES } from "@heddle/kube/types/core";
import type { RequestMatchSpec, ServiceProfile } from "@heddle/kube/types/linkerd";
import { GATEWAY_HTTP_ROUTES, POLICY_HTTP_ROUTES } from "@heddle/kube/types/routes";
import type { Annotations } from "../annotations.ts";
import { PatternBudget } from "../pattern-budget.ts";
import { refersTo } from "../refs.ts";
import type { Subject, Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";

type Spec = ServiceProfile["spec"];

/** Whether proxies go by such a profile, and no longer by routes and annotations. */
export function goesFirst(spec: Spec): boolean {
  return (spec?.routes ?? []).length > 0 || (spec?.dstOverrides ?? []).length > 0;
}

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
