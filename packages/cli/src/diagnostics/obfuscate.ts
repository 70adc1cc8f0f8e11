import { createHash } from "node:crypto";

/** Labels that name somebody. */
const NAMING: readonly string[] = [
  "authority",
  "client_id",
  "server_id",
  "target_addr",
  "dst_service",
  "dst_namespace",
];
const BYTES = 4;

/** One label of a series, as the text format writes it. */
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\.)*)"/g;

/**
 * Metrics in Prometheus' text format, in which labels that name workloads, peers or addresses have the
 * start of their value's SHA-256 instead: the same name is still the same everywhere.
 */
export function obfuscateMetrics(text: string): string {
  return text
    .split("\n")
    .map((line) => (line.startsWith("#") ? line : obfuscateLine(line)))
    .join("\n");
}

function obfuscateLine(line: string): string {
  return line.replace(LABEL, (whole, name: string, value: string) =>
    NAMING.includes(name) ? `${name}="${digestOf(unescapeValue(value))}"` : whole,
  );
}

function unescapeValue(value: string): string {
  return value.replace(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one));
}

function digestOf(value: string): string {
  return createHash("sha256").update(value).digest().subarray(0, BYTES).toString("hex");
}
