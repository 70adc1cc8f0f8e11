import type { ServiceProfile } from "@heddle/kube/types/linkerd";
import type { AdmissionHandler, AdmissionResponse, AdmissionReview } from "../../webhook/review.ts";
import { annotationWarnings } from "../warnings/annotations.ts";
import { warnOfProfile } from "../warnings/profiles.ts";
import type { Warn } from "../warnings/subject.ts";
import type { Surroundings } from "../warnings/surroundings.ts";
import type { Warnings } from "../warnings/warnings.ts";
import { denialOf } from "./quoted.ts";
import { serviceProfileProblem } from "./service-profile.ts";
import { anyObject, fields, type Read, text } from "./shape.ts";

interface Profile {
  readonly metadata?: { readonly name?: string };
  readonly spec?: unknown;
}

const readProfile: Read<Profile> = fields({
  required: {},
  optional: {
    metadata: fields<NonNullable<Profile["metadata"]>>({ required: {}, optional: { name: text } }),
    spec: (value) => value,
  },
});

/** What an object of any kind may have. */
const ROOT_FIELDS = ["apiVersion", "kind", "metadata", "spec"];

/**
 * Makes the handler of Linkerd's ServiceProfile validator.
 *
 * @param warnings - Without it, nobody is warned of anything.
 */
export function newProfileValidator(warnings?: Warnings): AdmissionHandler {
  return ({ request }) => validateProfile(request, warnings);
}

async function validateProfile(
  request: AdmissionReview["request"],
  warnings: Warnings | undefined,
): Promise<AdmissionResponse> {
  const { uid, object } = request;
  // What goes is not judged: nobody shall be stuck with it.
  if (request.operation === "DELETE") return { uid, allowed: true };
  const problem = problemOf(object);
  if (problem !== undefined) {
    return { uid, allowed: false, status: { message: denialOf(problem), code: 400 } };
  }
  const said =
    (await warnings?.of((around, warn) => lookAt(request, warnings, around, warn))) ?? [];
  return { uid, allowed: true, ...(said.length === 0 ? {} : { warnings: said }) };
}

async function lookAt(
  { object, namespace = "" }: AdmissionReview["request"],
  { clusterDomain }: Warnings,
  around: Surroundings,
  warn: Warn,
): Promise<void> {
  // As it is read where it is used; whoever came here has been found good.
  const { metadata, spec } = object as ServiceProfile;
  const { name = "", creationTimestamp: created, annotations = {} } = metadata;
  annotationWarnings("ServiceProfile", annotations).forEach(warn);
  await warnOfProfile(spec, { name, namespace, created, annotations }, clusterDomain, around, warn);
}

function problemOf(object: unknown): string | undefined {
  try {
    const unknown = Object.keys(anyObject(object, "object")).find(
      (key) => !ROOT_FIELDS.includes(key),
    );
    if (unknown !== undefined) return `${unknown}: is unknown: remove it`;
    const { metadata, spec } = readProfile(object, "object");
    return serviceProfileProblem(metadata?.name ?? "", spec);
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
}
