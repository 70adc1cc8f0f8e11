import { randomInt } from "node:crypto";
import type { Strategy } from "@heddle/apiserver/kinds/resource-type";

const LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const SERVICE = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const SERVICE_RULE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";

export function isLabelName(name: string): boolean {
  return name.length <= 63 && LABEL.test(name);
}

export function isSubdomain(name: string): boolean {
  return name.length <= 253 && SUBDOMAIN.test(name);
}

/** What is wrong with a name; undefined if nothing. */
export function nameProblem(name: string, rule: Strategy["names"]): string | undefined {
  switch (rule) {
    case "label":
      return isLabelName(name) ? undefined : LABEL_RULE;
    case "service":
      return name.length <= 63 && SERVICE.test(name) ? undefined : SERVICE_RULE;
    case "subdomain":
      return isSubdomain(name) ? undefined : SUBDOMAIN_RULE;
    case "path-segment":
      if (name === "." || name === "..") return `may not be '${name}'`;
      return /[/%]/.test(name) || name.length > 253 ? "may not contain '/' or '%'" : undefined;
    default:
      return undefined;
  }
}

/** No vowels, so that no words come out, and nothing that looks like another letter. */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const MAX_GENERATED_PREFIX = 58;

/** A name that begins as asked and ends at random. */
export function generateName(prefix: string): string {
  let name = prefix.slice(0, MAX_GENERATED_PREFIX);
  for (let at = 0; at < 5; at++) name += ALPHABET[randomInt(ALPHABET.length)];
  return name;
}
