import type { Json, JsonObject } from "@heddle/apiserver/json/value";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import { badRequest, invalid, revisionTooLarge } from "@heddle/apiserver/status-error";
import type { Entry } from "@heddle/apiserver/store/entry";
import type { Store } from "@heddle/apiserver/store/store";
import type { Selection } from "./selection.ts";

export interface ListPage {
  readonly entries: readonly Entry[];
  /** `metadata` of the list. */
  readonly metadata: JsonObject;
}

/** Where the next page begins: the revision of the first page, and the last key sent. */
interface Continuation {
  readonly rv: number;
  readonly after: string;
}

/**
 * The objects of a resource that a query asks for. Pages of one list all show the same revision.
 *
 * @throws StatusError 400 on parameters that do not go together, 410 on a page that is too old.
 */
export function listPage(
  store: Store,
  type: ResourceType,
  namespace: string,
  query: URLSearchParams,
  selection: Selection,
): ListPage {
  const limit = readLimit(query.get("limit"));
  const token = query.get("continue") ?? "";
  const exact = readRevision(store, query, token !== "");
  const from = token === "" ? undefined : readToken(token);
  const rv = from?.rv ?? exact ?? store.revision;
  const entries: Entry[] = [];
  let remaining = 0;
  for (const entry of store.scanAt(type.key, namespace, rv, from?.after)) {
    if (!selection.has(entry)) continue;
    if (limit === 0 || entries.length < limit) entries.push(entry);
    else remaining++;
  }
  const metadata: Record<string, Json> = { resourceVersion: String(rv) };
  const last = entries.at(-1);
  if (remaining > 0 && last !== undefined) {
    metadata["continue"] = writeToken({ rv, after: last.key });
    if (selection.isAll) metadata["remainingItemCount"] = remaining;
  }
  return { entries, metadata };
}

function readLimit(text: string | null): number {
  if (text === null || text === "") return 0;
  if (!/^\d{1,9}$/.test(text)) throw badRequest(`limit "${text}" is no count`);
  return Number(text);
}

/** The revision that must be shown, if the query wants a certain one. */
function readRevision(
  store: Store,
  query: URLSearchParams,
  isContinued: boolean,
): number | undefined {
  const text = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const refuse = (message: string, field = "resourceVersionMatch"): never => {
    throw invalid({ group: "meta.k8s.io", kind: "ListOptions" }, "", [
      { reason: "FieldValueForbidden", message, field },
    ]);
  };
  if (query.has("sendInitialEvents")) {
    refuse("Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents");
  }
  if (match !== "" && text === "") {
    refuse("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
  }
  if (match !== "" && match !== "Exact" && match !== "NotOlderThan") {
    refuse(`Unsupported value: "${match}": supported values: "Exact", "NotOlderThan"`);
  }
  if (text === "" || text === "0") {
    if (match === "Exact") refuse('Forbidden: "Exact" is forbidden for resourceVersion "0"');
    return undefined;
  }
  const rv = parseRevision(text);
  if (isContinued)
    throw badRequest("specifying resource version is not allowed when using continue");
  if (rv > store.revision) throw revisionTooLarge(rv, store.revision);
  return match === "Exact" ? rv : undefined;
}

/** @throws StatusError 400 on anything but a revision. */
export function parseRevision(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(`Invalid value: "${text}": resourceVersion is no revision of this server`);
  }
  return Number(text);
}

function writeToken({ rv, after }: Continuation): string {
  return Buffer.from(JSON.stringify({ v: 1, rv, after })).toString("base64url");
}

function readToken(text: string): Continuation {
  try {
    const token = JSON.parse(Buffer.from(text, "base64url").toString()) as Partial<Continuation>;
    const { rv, after } = token;
    if (Number.isSafeInteger(rv) && typeof after === "string") return { rv: rv!, after };
  } catch {
    // Not JSON: told below, with whatever else is wrong.
  }
  throw badRequest("continue key is not valid");
}
