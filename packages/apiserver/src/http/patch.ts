import { applyJsonPatch } from "@heddle/apiserver/json/json-patch";
import { mergePatch } from "@heddle/apiserver/json/merge-patch";
import { applyStrategicMerge } from "@heddle/apiserver/json/strategic-merge";
import { clone, isObject, type Json } from "@heddle/apiserver/json/value";
import type { Revise } from "@heddle/apiserver/objects/draft";
import type { Schema } from "@heddle/apiserver/schema/schema";
import { badRequest, StatusError, unsupportedMediaType } from "@heddle/apiserver/status-error";
import type { Exchange } from "./exchange.ts";

/** The body of a request that must have one. */
export async function requireBody(exchange: Exchange): Promise<Json> {
  const body = await exchange.readJson();
  if (body === undefined) throw badRequest("the request has no body");
  return body;
}

const JSON_PATCH = "application/json-patch+json";
const MERGE_PATCH = "application/merge-patch+json";
const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
/** Server-side apply. Its body may be JSON as well, which is YAML. */
export const APPLY_PATCH = "application/apply-patch+yaml";

/**
 * Reads a patch, which is applied when the object's present state is known. Custom objects take no
 * strategic merge, for their schemas do not say how lists are merged.
 *
 * @throws StatusError 415 on other kinds of patches.
 */
export async function readPatch(
  exchange: Exchange,
  schema: Schema,
  isCustom: boolean,
): Promise<Revise> {
  const { mediaType } = exchange;
  const strategic = isCustom ? [] : [STRATEGIC_PATCH];
  const known = [JSON_PATCH, MERGE_PATCH, ...strategic, APPLY_PATCH];
  if (!known.includes(mediaType)) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${known.join(", ")}`,
    );
  }
  const patch = await requireBody(exchange);
  if (mediaType === APPLY_PATCH) return () => clone(patch);
  return (current) => {
    try {
      if (mediaType === JSON_PATCH) return applyJsonPatch(current, patch);
      if (!isObject(patch)) throw new SyntaxError("the patch is not an object");
      if (mediaType === MERGE_PATCH) return mergePatch(current, patch);
      return applyStrategicMerge(current, patch, schema);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new StatusError(422, "Invalid", `the patch does not apply: ${error.message}`, {
        cause: error,
      });
    }
  };
}
