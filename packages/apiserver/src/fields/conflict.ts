import { StatusError } from "@heddle/apiserver/status-error";
import { type Step, showPath } from "./field-set.ts";
import type { Owned } from "./managers.ts";

/** A field that somebody else owns and wants otherwise. */
export interface Conflict {
  readonly owned: Owned;
  readonly path: readonly Step[];
}

/** @param conflicts - At least one. */
export function applyConflict(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map(({ owned, path }) => ({
    reason: "FieldManagerConflict" as const,
    message: `conflict with ${showOwner(owned)}`,
    field: showPath(path),
  }));
  return new StatusError(409, "Conflict", messageOf(conflicts), { details: { causes } });
}

function messageOf(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1) {
    const { owned, path } = first!;
    return `Apply failed with 1 conflict: conflict with ${showOwner(owned)}: ${showPath(path)}`;
  }
  const byOwner = new Map<string, string[]>();
  for (const { owned, path } of conflicts) {
    const owner = showOwner(owned);
    const lines = byOwner.get(owner) ?? [];
    lines.push(`- ${showPath(path)}`);
    byOwner.set(owner, lines);
  }
  const blocks = [...byOwner]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([owner, lines]) => [`conflicts with ${owner}:`, ...lines]);
  return `Apply failed with ${conflicts.length} conflicts: ${blocks.join("\n")}`;
}

/** `"kubectl" with subresource "status" using v1`; appliers have no version. */
function showOwner({ manager, apiVersion }: Owned): string {
  const { name, operation, subresource } = manager;
  const through = subresource === "" ? "" : ` with subresource ${JSON.stringify(subresource)}`;
  const using = operation === "Update" ? ` using ${apiVersion}` : "";
  return `${JSON.stringify(name)}${through}${using}`;
}
