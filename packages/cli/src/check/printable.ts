/** So much of a text is shown. */
const MAX_CHARS = 4_000;
/** So much of a list: a cluster of thousands of pods would bury what matters. */
const MAX_LISTED = 20;

/** What others wrote, cut to a bearable length and without what would steer a terminal. */
export function printable(text: string): string {
  const short = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
  // Cc: control characters, of which lines and tabs are ours as well. Cf: those that turn writing
  // around, or are not seen.
  return short.replaceAll(/[^\P{Cc}\n\t]|\p{Cf}/gu, "");
}

/** As `printable`, on one line: nothing can look like a line of ours. */
export function printableLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, " ").trim();
}

/** A line, and below it what it speaks of. */
export function printableList(line: string, list: readonly string[] = []): string {
  if (list.length === 0) return printableLine(line);
  const shown = list.slice(0, MAX_LISTED).map((item) => `\t* ${printableLine(item)}`);
  if (list.length > MAX_LISTED) shown.push(`\t* and ${list.length - MAX_LISTED} more`);
  return [`${printableLine(line)}:`, ...shown].join("\n");
}
