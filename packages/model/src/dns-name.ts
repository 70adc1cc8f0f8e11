/**
 * The lower-case name without its trailing dot, or undefined if `text` is no DNS name: at most 253
 * bytes, labels of 1 to 63 letters, digits, `-` and `_`, no hyphen at a label's ends, and a last
 * label that is not all digits, so that an address is never taken for a name.
 */
export function parseDnsName(text: string): string | undefined {
  const bare = text.endsWith(".") ? text.slice(0, -1) : text;
  if (bare.length === 0 || bare.length > 253) return undefined;
  const labels = bare.split(".");
  for (const label of labels) if (!isLabel(label)) return undefined;
  if (/^[0-9]+$/.test(labels[labels.length - 1]!)) return undefined;
  return bare.toLowerCase();
}

function isLabel(label: string): boolean {
  return (
    label.length <= 63 &&
    /^[A-Za-z0-9_-]+$/.test(label) &&
    !label.startsWith("-") &&
    !label.endsWith("-")
  );
}

/** A set of DNS suffixes, matched by whole labels. A name is a suffix of itself. */
export class DnsSuffixes {
  readonly suffixes: readonly string[];

  /** @param suffixes - As `parseDnsSuffixes` gives them; `""` holds every name. */
  constructor(suffixes: readonly string[]) {
    this.suffixes = suffixes;
  }

  /** @param name - As `parseDnsName` gives it. */
  contains(name: string): boolean {
    return this.suffixes.some(
      (suffix) => suffix === "" || name === suffix || name.endsWith(`.${suffix}`),
    );
  }
}

/** Takes a comma list; blanks and empty items are ignored, `.` stands for all names. */
export function parseDnsSuffixes(text: string): DnsSuffixes {
  const suffixes: string[] = [];
  for (const item of text.split(",").map((part) => part.trim())) {
    if (item === "") continue;
    const suffix = item === "." ? "" : parseDnsName(item);
    if (suffix === undefined) throw new SyntaxError(`"${item}" is not a DNS suffix`);
    suffixes.push(suffix);
  }
  return new DnsSuffixes(suffixes);
}
