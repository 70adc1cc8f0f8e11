import { parse, parseAllDocuments } from "yaml";

/**
 * For tests: every leaf of every object of a manifest, by `Kind/name` and path. Items of lists go by
 * their names, where they have one; text that is YAML itself is taken apart too.
 */
export function flatObjects(manifest: string): Map<string, string> {
  const leaves = new Map<string, string>();
  for (const document of parseAllDocuments(manifest)) {
    const object = document.toJS() as { kind: string; metadata: { name: string } } | null;
    if (object !== null) flatten(object, `${object.kind}/${object.metadata.name}`, leaves);
  }
  return leaves;
}

/** What differs between two manifests, a line for each leaf: `-` is gone, `+` is new. */
export function changedLeaves(from: string, to: string): string {
  const before = flatObjects(from);
  const after = flatObjects(to);
  const lines: string[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const old = before.get(path);
    const now = after.get(path);
    if (old === now) continue;
    if (old !== undefined) lines.push(`- ${path}: ${old}\n`);
    if (now !== undefined) lines.push(`+ ${path}: ${now}\n`);
  }
  return lines.join("");
}

function flatten(value: unknown, path: string, leaves: Map<string, string>): void {
  if (Array.isArray(value) && value.length > 0) {
    for (const [at, item] of value.entries()) {
      const { name } = (item ?? {}) as { readonly name?: unknown };
      flatten(item, `${path}[${typeof name === "string" ? name : at}]`, leaves);
    }
  } else if (typeof value === "object" && value !== null && Object.keys(value).length > 0) {
    for (const [key, item] of Object.entries(value)) {
      const isYaml = key === "values" && typeof item === "string";
      flatten(isYaml ? (parse(item) as unknown) : item, `${path}.${key}`, leaves);
    }
  } else {
    leaves.set(path, JSON.stringify(value));
  }
}
