import type { Document } from "yaml";

/** Aliases that one document may resolve: a few lines could otherwise stand for millions. */
const MAX_ALIASES = 100;

/**
 * The documents of a manifest, read as kubectl reads them: YAML 1.1 (`0644` is octal, `on` is true,
 * `<<` merges), but with neither dates nor base 60, which are text there.
 */
export async function readDocuments(text: string): Promise<readonly Document[]> {
  const { parseAllDocuments } = await import("yaml");
  return parseAllDocuments(text, {
    version: "1.1",
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === "string" ||
          !(("format" in tag && tag.format === "TIME") || tag.tag.endsWith(":timestamp")),
      ),
  }) as readonly Document[];
}

/** What one document holds. @throws Error that says where it is no YAML. */
export function contentOf(document: Document): unknown {
  const [problem] = document.errors;
  if (problem !== undefined) throw problem;
  return document.toJS({ maxAliasCount: MAX_ALIASES });
}
