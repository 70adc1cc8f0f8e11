/** Between two columns, and behind the last. */
const GAP = "  ";

/** Linkerd's tables: left-aligned, as wide as the widest cell, two blanks after every column. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!) + GAP).join(""));
}
