import { SERVICE_PROFILES } from "@heddle/kube/types/linkerd";
import { goesFirst, mergesRoutes } from "../../route-merge.ts";
import type { AdmissionHandler } from "../../webhook/review.ts";
import { anyObject, texts } from "../admission/shape.ts";
import type { Annotations } from "../annotations.ts";
import { annotationWarnings } from "./annotations.ts";
import { shadowedIn } from "./profiles.ts";
import type { Warn } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Warnings } from "./warnings.ts";

/** Has a webhook that sees Services warn of annotations of theirs that do nothing. */
export function warningOfServices(inner: AdmissionHandler, warnings: Warnings): AdmissionHandler {
  return async (review) => {
    const answer = await inner(review);
    const { kind, name, namespace = "", object } = review.request;
    if (!answer.allowed || kind.kind !== "Service") return answer;
    const host = `${name ?? ""}.${namespace}.svc.${warnings.clusterDomain}`;
    const said = await warnings.of((around, warn) =>
      warnOfService(annotationsOf(object), { namespace, host }, around, warn),
    );
    return said.length === 0
      ? answer
      : { ...answer, warnings: [...(answer.warnings ?? []), ...said] };
  };
}

async function warnOfService(
  annotations: Annotations,
  { namespace, host }: { readonly namespace: string; readonly host: string },
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  annotationWarnings("Service", annotations).forEach(warn);
  const shadowed = shadowedIn(annotations);
  if (shadowed.length === 0 || mergesRoutes(annotations)) return;
  const profile = await around.find(SERVICE_PROFILES, namespace, host);
  if (profile === undefined || !goesFirst(profile.spec)) return;
  warn(`metadata.annotations: the ServiceProfile ${host} goes before ${shadowed.join(", ")}`);
}

/** None of an object that is not what an API server would have let through. */
function annotationsOf(object: unknown): Annotations {
  try {
    const metadata = anyObject(anyObject(object, "object")["metadata"], "metadata");
    return texts(metadata["annotations"] ?? {}, "metadata.annotations");
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
