/** So much of a text is shown. */
const MAX_CHARS = 4_000;

/** What others wrote, cut to a bearable length and without what would steer a terminal. */
export function printable(text: string): string {
  const short = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
  // Cc: control characters, of which lines and tabs are ours as well. Cf: those that turn writing
  // around, or are not seen.
  return short.replaceAll(/[^\P{Cc}\n\t]|\p{Cf}/gu, "");
}
