import { digArray, type Json, type JsonObject } from "@heddle/apiserver/json/value";
import type { Access, ResourceAccess } from "../access.ts";

/** A rule of a role. Resources and paths do not go together in one. */
export interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  /** Empty: all names. */
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

const ALL = "*";

export function readRules(role: JsonObject | undefined): Rule[] {
  return digArray(role, "rules").map(readRule);
}

function readRule(rule: Json): Rule {
  const list = (key: string): string[] => digArray(rule, key).map(String);
  return {
    verbs: list("verbs"),
    apiGroups: list("apiGroups"),
    resources: list("resources"),
    resourceNames: list("resourceNames"),
    nonResourceURLs: list("nonResourceURLs"),
  };
}

/** Whether a rule allows what somebody wants to do. */
export function ruleAllows(rule: Rule, access: Access): boolean {
  if (!includes(rule.verbs, access.verb)) return false;
  if (access.kind === "path") {
    return rule.nonResourceURLs.some((path) => isPathWithin(path, access.path));
  }
  return (
    includes(rule.apiGroups, access.group) &&
    allowsResource(rule.resources, access) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(access.name))
  );
}

function includes(list: readonly string[], value: string): boolean {
  return list.includes(ALL) || list.includes(value);
}

function allowsResource(
  resources: readonly string[],
  { resource, subresource }: ResourceAccess,
): boolean {
  const name = subresource === "" ? resource : `${resource}/${subresource}`;
  if (includes(resources, name)) return true;
  return subresource !== "" && resources.includes(`*/${subresource}`);
}

function isPathWithin(pattern: string, path: string): boolean {
  if (pattern === path) return true;
  return pattern.endsWith(ALL) && path.startsWith(pattern.replace(/\*+$/, ""));
}

/** What of `wanted` none of `held` gives: rules of one verb, resource and name each. */
export function missingRules(held: readonly Rule[], wanted: readonly Rule[]): Rule[] {
  return wanted
    .flatMap(singleRules)
    .filter((single) => !held.some((rule) => ruleCovers(rule, single)));
}

function singleRules({
  verbs,
  apiGroups,
  resources,
  resourceNames,
  nonResourceURLs,
}: Rule): Rule[] {
  const singles: Rule[] = [];
  const names = resourceNames.length === 0 ? [[]] : resourceNames.map((name) => [name]);
  for (const group of apiGroups) {
    for (const resource of resources) {
      for (const verb of verbs) {
        for (const name of names) {
          singles.push({
            ...NOTHING,
            apiGroups: [group],
            resources: [resource],
            verbs: [verb],
            resourceNames: name,
          });
        }
      }
    }
  }
  for (const url of nonResourceURLs) {
    for (const verb of verbs) singles.push({ ...NOTHING, nonResourceURLs: [url], verbs: [verb] });
  }
  return singles;
}

const NOTHING: Rule = {
  verbs: [],
  apiGroups: [],
  resources: [],
  resourceNames: [],
  nonResourceURLs: [],
};

function ruleCovers(held: Rule, { verbs, nonResourceURLs, ...single }: Rule): boolean {
  if (!includes(held.verbs, verbs[0]!)) return false;
  const [url] = nonResourceURLs;
  if (url !== undefined) return held.nonResourceURLs.some((path) => isPathWithin(path, url));
  const [resource = "", ...rest] = single.resources[0]!.split("/");
  const access = { resource, subresource: rest.join("/") } as ResourceAccess;
  const [name] = single.resourceNames;
  return (
    includes(held.apiGroups, single.apiGroups[0]!) &&
    allowsResource(held.resources, access) &&
    (held.resourceNames.length === 0 || (name !== undefined && held.resourceNames.includes(name)))
  );
}

/** Rules of one resource each, with their verbs gathered, as texts that can be read and sorted. */
export function describeRules(singles: readonly Rule[]): string[] {
  const byRest = new Map<string, { readonly rule: Rule; readonly verbs: string[] }>();
  for (const rule of singles) {
    const key = JSON.stringify({ ...rule, verbs: [] });
    const known = byRest.get(key);
    if (known === undefined) byRest.set(key, { rule, verbs: [...rule.verbs] });
    else known.verbs.push(...rule.verbs);
  }
  return [...byRest.values()].map(({ rule, verbs }) => describe({ ...rule, verbs })).sort();
}

function describe(rule: Rule): string {
  const parts: string[] = [];
  const add = (name: string, list: readonly string[]): void => {
    if (list.length > 0) parts.push(`${name}:${quoted(list)}`);
  };
  add("APIGroups", rule.apiGroups);
  add("Resources", rule.resources);
  add("NonResourceURLs", rule.nonResourceURLs);
  add("ResourceNames", rule.resourceNames);
  add("Verbs", rule.verbs);
  return `{${parts.join(", ")}}`;
}

/** `["a" "b"]`, as Go shows a list of texts. */
export function quoted(list: readonly string[]): string {
  return `[${list.map((one) => JSON.stringify(one)).join(" ")}]`;
}
