import type { AdmissionHandler } from "../../webhook/review.ts";
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

/** The handler of Linkerd's ServiceProfile validator. */
export const validateProfile: AdmissionHandler = async ({ request }) => {
  const { uid, object } = request;
  // What goes is not judged: nobody shall be stuck with it.
  if (request.operation === "DELETE") return { uid, allowed: true };
  const problem = problemOf(object);
  if (problem === undefined) return { uid, allowed: true };
  return { uid, allowed: false, status: { message: denialOf(problem), code: 400 } };
};

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
