import { digArray, digObject, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import type { ResourceType } from "@heddle/apiserver/kinds/resource-type";
import { compileSchema } from "@heddle/apiserver/schema/custom-schema";
import type { Cause } from "@heddle/apiserver/status-error";
import type { Log } from "@heddle/base/log";
import type { RuleChecker, UnusableRule } from "./rule-checker.ts";

/** Whether a CustomResourceDefinition states rules. */
export function statesRules(definition: JsonObject): boolean {
  return digArray(definition, "spec", "versions").some(
    (version) => schemaOf(version)?.schema.hasRules === true,
  );
}

/** Rules of a CustomResourceDefinition that cannot be evaluated, by where they stand in it. */
export function unusableRules(definition: JsonObject, checker: RuleChecker): UnusableRule[] {
  return digArray(definition, "spec", "versions").flatMap((version, at) => {
    const found = schemaOf(version);
    const path = `spec.versions[${at}].schema.openAPIV3Schema`;
    return found?.schema.hasRules === true ? checker.unusable(found.schema, path) : [];
  });
}

function schemaOf(version: Json) {
  const source = digObject(version, "schema", "openAPIV3Schema");
  return source === undefined ? undefined : compileSchema(source, "");
}

/** What is held against a definition: rules whose text is none. */
export function brokenRule({ path, rule, why }: UnusableRule): Cause {
  const shown = JSON.stringify({ rule: rule.rule });
  const message = `Invalid value: ${shown}: compilation failed: ${why}`;
  return { reason: "FieldValueInvalid", message, field: `${path}.rule` };
}

/** Lists the rules that this server does not keep, of a resource that it serves from now on. */
export async function reportRules(
  type: ResourceType,
  checker: RuleChecker,
  log: Log,
): Promise<void> {
  if (!type.versions.some(({ schema }) => schema.hasRules === true)) return;
  await checker.ready();
  for (const { version, schema } of type.versions) {
    for (const { path, rule, why } of checker.unusable(schema)) {
      log.warn("rule of a custom resource is not kept", {
        resource: `${type.plural}.${type.group}`,
        version,
        path,
        rule: rule.rule,
        why,
      });
    }
  }
}

/** As a warning to whoever defines it. */
export function describeUnusable({ path, why }: UnusableRule): string {
  return `${path} is not kept by this server: ${why}`;
}
