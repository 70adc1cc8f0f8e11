import { digString, isObject, type Json, own } from "@heddle/apiserver/json/value";
import { badRequest } from "@heddle/apiserver/status-error";

/** What becomes of the objects that an object owns. */
export type Propagation = "Background" | "Foreground" | "Orphan";

export interface DeleteOptions {
  readonly isDryRun: boolean;
  readonly propagation: Propagation;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export const PLAIN_DELETE: DeleteOptions = {
  isDryRun: false,
  propagation: "Background",
  uid: undefined,
  resourceVersion: undefined,
};

/** Finalizers that stand for a way of deleting; the garbage collector takes them away. */
export const PROPAGATION_FINALIZERS = {
  orphan: "orphan",
  foreground: "foregroundDeletion",
} as const;

/**
 * Reads the options of a delete from its body, which may be empty, and its query.
 *
 * @throws StatusError 400 on a policy that does not exist.
 */
export function readDeleteOptions(body: Json | undefined, query: URLSearchParams): DeleteOptions {
  if (body !== undefined && !isObject(body)) throw badRequest("the body is not DeleteOptions");
  const policy =
    digString(body, "propagationPolicy") ?? query.get("propagationPolicy") ?? undefined;
  const orphans = own(body, "orphanDependents") ?? query.get("orphanDependents");
  if (policy !== undefined && !isPropagation(policy)) {
    throw badRequest(
      `invalid propagationPolicy "${policy}": needs "Orphan", "Background", "Foreground"`,
    );
  }
  const dryRun = own(body, "dryRun");
  return {
    isDryRun: isDryRun([...(Array.isArray(dryRun) ? dryRun : []), ...query.getAll("dryRun")]),
    propagation:
      policy ?? (orphans === true || orphans === "true" ? "Orphan" : PLAIN_DELETE.propagation),
    uid: digString(body, "preconditions", "uid"),
    resourceVersion: digString(body, "preconditions", "resourceVersion"),
  };
}

/** @throws StatusError 400 on anything but `All`. */
export function isDryRun(values: readonly Json[]): boolean {
  const given = values.filter((value) => value !== "");
  if (given.some((value) => value !== "All")) {
    throw badRequest(`invalid dryRun value ${JSON.stringify(given)}: only "All" is known`);
  }
  return given.length > 0;
}

function isPropagation(text: string): text is Propagation {
  return text === "Background" || text === "Foreground" || text === "Orphan";
}

/** The finalizers of an object that is deleted that way. */
export function finalizersFor(present: readonly Json[], propagation: Propagation): Json[] {
  const ways: readonly Json[] = Object.values(PROPAGATION_FINALIZERS);
  const others = present.filter((finalizer) => !ways.includes(finalizer));
  if (propagation === "Orphan") return [...others, PROPAGATION_FINALIZERS.orphan];
  if (propagation === "Foreground") return [...others, PROPAGATION_FINALIZERS.foreground];
  return others;
}
