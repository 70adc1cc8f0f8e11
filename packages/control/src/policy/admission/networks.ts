import type { NetworkRule } from "@heddle/kube/types/linkerd";
import { type IpNetwork, parseNetwork } from "@heddle/model/network";
import { quoted } from "./quoted.ts";

/**
 * What is wrong with a list of networks, or undefined.
 *
 * @param path - The list's field, for the message: `spec.networks`.
 */
export function networksProblem(rules: readonly NetworkRule[], path: string): string | undefined {
  for (const [index, rule] of rules.entries()) {
    const problem = ruleProblem(rule, `${path}[${index}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function ruleProblem(rule: NetworkRule, path: string): string | undefined {
  const cidr = networkOf(rule.cidr);
  if (cidr === undefined) return notNetwork(`${path}.cidr`, rule.cidr);
  for (const [index, text] of (rule.except ?? []).entries()) {
    const field = `${path}.except[${index}]`;
    const except = networkOf(text);
    if (except === undefined) return notNetwork(field, text);
    if (except.covers(cidr)) {
      return `${field}: ${text} leaves nothing of cidr ${rule.cidr}: name a smaller part of it`;
    }
    if (!cidr.covers(except)) {
      return `${field}: ${text} is not within cidr ${rule.cidr}: remove it or name a part of it`;
    }
  }
  return undefined;
}

function notNetwork(field: string, text: string): string {
  return `${field}: ${quoted(text)} is no address and no network: write one like 10.0.0.0/8`;
}

function networkOf(text: string): IpNetwork | undefined {
  try {
    return parseNetwork(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
