import { stringify } from "yaml";

/** An object as a manifest. kubectl reads YAML 1.1, where an unquoted `on` is a boolean. */
export function manifestOf(object: object): string {
  return stringify(object, { version: "1.1", lineWidth: 0, aliasDuplicateObjects: false });
}
