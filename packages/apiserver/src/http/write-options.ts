import type { FieldValidation } from "@heddle/apiserver/objects/admit";
import { isDryRun } from "@heddle/apiserver/objects/delete-options";
import type { Author } from "@heddle/apiserver/objects/draft";
import type { WriteOptions } from "@heddle/apiserver/objects/writer";
import { type Cause, invalid, type StatusError } from "@heddle/apiserver/status-error";
import type { Exchange } from "./exchange.ts";
import { APPLY_PATCH } from "./patch.ts";

export interface RequestOptions extends WriteOptions {
  readonly author: Author;
}

/** What a writing request says beside its body. */
export function writeOptions(exchange: Exchange): RequestOptions {
  const { query } = exchange;
  const wanted = query.get("fieldValidation") || "Warn";
  if (wanted !== "Ignore" && wanted !== "Warn" && wanted !== "Strict") {
    const message = `Unsupported value: ${JSON.stringify(wanted)}: supported values: "", "Ignore", "Strict", "Warn"`;
    throw wrongOptions(exchange.method, [
      { reason: "FieldValueNotSupported", message, field: "fieldValidation" },
    ]);
  }
  const fieldValidation: FieldValidation = wanted;
  return {
    isDryRun: isDryRun(query.getAll("dryRun")),
    fieldValidation,
    author: authorOf(exchange),
  };
}

function wrongOptions(method: string, causes: readonly Cause[]): StatusError {
  const kinds: Readonly<Record<string, string>> = { PATCH: "PatchOptions", PUT: "UpdateOptions" };
  const kind = kinds[method] ?? "CreateOptions";
  return invalid({ group: "meta.k8s.io", kind }, "", causes);
}

const MAX_MANAGER = 128;

/** Who calls themselves nothing is named by their program. */
function authorOf({ query, method, mediaType, request }: Exchange): Author {
  const isApply = method === "PATCH" && mediaType === APPLY_PATCH;
  const name = query.get("fieldManager") ?? "";
  const force = query.get("force");
  const causes: Cause[] = [];
  const refuse = (reason: Cause["reason"], field: string, message: string): void => {
    causes.push({ reason, field, message });
  };
  if (isApply && name === "") {
    refuse("FieldValueRequired", "fieldManager", "Required value: is required for apply patch");
  }
  if (!isApply && method === "PATCH" && force !== null) {
    const message = "Forbidden: may not be specified for non-apply patch";
    refuse("FieldValueForbidden", "force", message);
  }
  if (name.length > MAX_MANAGER) {
    const message = `Too long: may not be more than ${MAX_MANAGER} bytes`;
    refuse("FieldValueTooLong", "fieldManager", message);
  } else if (/[\p{C}\p{Zl}\p{Zp}]/u.test(name)) {
    const message = `Invalid value: ${JSON.stringify(name)}: should only contain printable characters`;
    refuse("FieldValueInvalid", "fieldManager", message);
  }
  if (causes.length > 0) throw wrongOptions(method, causes);
  return {
    name: name === "" ? programOf(request.headers["user-agent"] ?? "") : name,
    operation: isApply ? "Apply" : "Update",
    isForced: isApply && (force === "true" || force === "1"),
  };
}

/** What stands before the first slash of a user agent. */
function programOf(agent: string): string {
  const [program = ""] = agent.split("/", 1);
  const name = program.replaceAll(/[\p{C}]/gu, "").slice(0, MAX_MANAGER);
  return name === "" ? "unknown" : name;
}
