import { badRequest } from "@heddle/apiserver/status-error";

/** A request for a resource, from its path. Empty where the path has nothing. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
}

/**
 * Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`; undefined for paths that name no resource.
 *
 * @throws StatusError 400 on escapes that do not decode, or that hide a slash.
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = path.split("/").slice(1).map(decodePart);
  if (parts.at(-1) === "") parts.pop();
  const root = parts.shift();
  if (root !== "api" && root !== "apis") return undefined;
  const group = root === "api" ? "" : (parts.shift() ?? "");
  const version = parts.shift();
  if (version === undefined || parts.length === 0) return undefined;
  let namespace = "";
  // `namespaces/NAME` and its subresources are about the namespace itself.
  if (parts[0] === "namespaces" && parts.length > 2 && !isOfNamespace(parts[2]!)) {
    namespace = parts[1]!;
    parts.splice(0, 2);
  }
  const [resource = "", name = "", ...rest] = parts;
  if (resource === "") return undefined;
  return { group, version, namespace, resource, name, subresource: rest.join("/") };
}

function isOfNamespace(part: string): boolean {
  return part === "status" || part === "finalize";
}

function decodePart(part: string): string {
  if (!part.includes("%")) return part;
  try {
    const decoded = decodeURIComponent(part);
    if (!decoded.includes("/")) return decoded;
  } catch {
    // Told below.
  }
  throw badRequest("the path has escapes that cannot be decoded");
}
